//! Lists of texts: penalty kinds, matters, participants.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::Inputs;
use crate::pack::expression::class::Class;
use arrow::array::{Array, ArrayRef, BooleanArray, ListArray, Scalar, StringArray};
use arrow::compute::kernels::cmp;
use arrow::datatypes::Int64Type;

/// False for an empty list, null for an absent one.
pub(super) const CONTAINS: Function = Function {
    doc: FunctionDoc {
        name: "list_contains",
        signature: "list_contains(list, 'x') -> bool",
        meaning_zh: "列表中有此文本",
        meaning_en: "true when the text is in the list",
        example: "list_contains(penalty_types, 'fine')",
    },
    form: Form::Fixed { params: &[Param::List, Param::Text], optional: 0, returns: Class::Bool, run: contains_any },
};

/// True if any of the further arguments is in the list.
pub(super) fn contains_any(inputs: &Inputs<'_>) -> ArrayRef {
    let list = inputs.lane::<ListArray>(0);
    // The texts of all rows in one array; a row has a range of it.
    let items = StringArray::from(list.array.values().to_data());
    let words: Vec<_> = (1..inputs.count()).map(|i| inputs.text(i)).collect();
    // A word in quotes is compared with all items at once, by Arrow's kernel; a column of words row by row.
    let found: Vec<Option<BooleanArray>> = words
        .iter()
        .map(|word| word.one.then(|| cmp::eq(&items, &Scalar::new(&word.array)).expect("both are texts")))
        .collect();
    inputs.make_bool(|row| {
        let range = list.range(row)?;
        let mut unknown = false;
        for (word, found) in words.iter().zip(&found) {
            let here = match (found, word.get(row)) {
                (_, None) => {
                    unknown = true;
                    false
                }
                // A null item compares to null, whose bit says nothing.
                (Some(found), _) => range.clone().any(|i| found.is_valid(i) && found.value(i)),
                (None, Some(word)) => range.clone().any(|i| items.is_valid(i) && items.value(i) == word),
            };
            if here {
                return Some(true);
            }
        }
        if unknown { None } else { Some(false) }
    })
}

pub(super) const LENGTH: Function = Function {
    doc: FunctionDoc {
        name: "list_length",
        signature: "list_length(list) -> int",
        meaning_zh: "列表的项数",
        meaning_en: "the number of items of the list",
        example: "list_length(penalty_types) = 2",
    },
    form: Form::Fixed {
        params: &[Param::List],
        optional: 0,
        returns: Class::Int,
        run: |i| {
            let list = i.lane::<ListArray>(0);
            i.make::<Int64Type>(|row| list.range(row).and_then(|items| i64::try_from(items.len()).ok()))
        },
    },
};
