//! Lists of texts: penalty kinds, matters, participants.

use super::{Form, Function, FunctionDoc, Param};
use crate::pack::expression::call::Inputs;
use crate::pack::expression::class::Class;
use arrow::array::{Array, ArrayRef};
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
    let list = inputs.lane::<arrow::array::ListArray>(0);
    let words: Vec<_> = (1..inputs.count()).map(|i| inputs.text(i)).collect();
    inputs.make_bool(|row| {
        let items = list.get(row)?;
        let mut unknown = false;
        for word in &words {
            match word.get(row) {
                Some(word) if items.iter().flatten().any(|item| item == word) => return Some(true),
                Some(_) => {}
                None => unknown = true,
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
            let list = i.lane::<arrow::array::ListArray>(0);
            i.make::<Int64Type>(|row| list.get(row).and_then(|items| i64::try_from(items.len()).ok()))
        },
    },
};
