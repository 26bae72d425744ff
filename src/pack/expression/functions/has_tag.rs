//! Tags of the supervised object, which enrichment wrote into the column `tags`.

use super::list::contains_any;
use super::{Form, Function, FunctionDoc, Param, arity};
use crate::pack::expression::call::Prepared;
use crate::pack::expression::class::Class;
use crate::pack::expression::error::{ExpressionError, Place};
use crate::pack::expression::lower::{Lowering, Typed};

/// Tags that one call may name.
const TAGS_MAX: usize = 50;

/// Null when the object is not in the registry.
pub(super) const HAS_TAG: Function = Function {
    doc: FunctionDoc {
        name: "has_tag",
        signature: "has_tag('tag') -> bool",
        meaning_zh: "监管对象有此标签;名录中没有对象时为空",
        meaning_en: "true when the object has the tag; null when the registry does not know the object",
        example: "has_tag('restaurant')",
    },
    form: Form::Own(|lowering, args, doc, place| bind(lowering, args, doc, place, 1)),
};

pub(super) const HAS_ANY_TAG: Function = Function {
    doc: FunctionDoc {
        name: "has_any_tag",
        signature: "has_any_tag('tag', 'tag' ..) -> bool",
        meaning_zh: "监管对象有其中任一标签",
        meaning_en: "true when the object has one of the tags",
        example: "has_any_tag('school', 'restaurant')",
    },
    form: Form::Own(|lowering, args, doc, place| bind(lowering, args, doc, place, TAGS_MAX)),
};

fn bind(
    lowering: &mut Lowering<'_>,
    args: Vec<Typed>,
    doc: &FunctionDoc,
    place: Place,
    most: usize,
) -> Result<Typed, ExpressionError> {
    arity(doc, args.len(), 1, most, place)?;
    let mut bound = vec![lowering.column("tags", place)?];
    for arg in args {
        bound.push(Param::Literal.bind(lowering, arg, &mut Prepared::Nothing)?);
    }
    let tags = bound.remove(0);
    bound.insert(0, lowering.to(tags, Class::List)?);
    Ok(lowering.call(doc.name, contains_any, bound, Class::Bool, Prepared::Nothing))
}
