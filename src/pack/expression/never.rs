//! Comparisons that no row can fulfil, though they compile: with NULL, and of a column of fixed words with a word that is
//! none of them; and `==`, which compiles and is no SQL.
//!
//! In: a text that compiles, and its columns; the words of a column stand in the metadata of its field under [`WORDS`], a
//! space between. Out: every such comparison with its place and what to write instead.
//! Not here: conditions without any column (`Expression::is_never_true`), conditions that exclude each other.

use super::error::{ExpressionError, Place, nearest};
use super::lower::join;
use super::parse::{Source, double_signs, parse};
use arrow::datatypes::Schema;
use sqlparser::ast::{BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, Value};

/// Under this name the metadata of a field hold the words that its column may have.
pub(crate) const WORDS: &str = "words";

/// More words than this fill the screen: then only the nearest is told.
const LISTED: usize = 40;

/// The slips of a text that compiles; none of a text that does not parse.
pub(crate) fn never(text: &str, columns: &Schema) -> Vec<ExpressionError> {
    let Ok((tree, source)) = parse(text) else { return Vec::new() };
    let mut seeker = Seeker { source: &source, columns, found: Vec::new() };
    // With a list of its own instead of recursion: a chain of ANDs leans hundreds of levels to the left.
    let mut open = vec![&tree];
    while let Some(next) = open.pop() {
        seeker.look(next);
        open.extend(parts(next));
    }
    seeker.found.extend(double_signs(text).into_iter().map(|place| {
        ExpressionError::new("sql-sign", "== is no sign of SQL", "SQL 中没有 ==", place).hint("write = / 请写 =")
    }));
    seeker.found.sort_by_key(|e| e.span);
    seeker.found
}

/// The texts that an expression can give as they stand in it, with their places: the whole, branches of CASE, arguments
/// of COALESCE.
pub(crate) fn results(text: &str) -> Vec<(String, Place)> {
    let Ok((tree, source)) = parse(text) else { return Vec::new() };
    let mut found = Vec::new();
    let mut open = vec![&tree];
    while let Some(next) = open.pop() {
        match next {
            Expr::Nested(inner) => open.push(inner),
            Expr::Case { conditions, else_result, .. } => {
                open.extend(conditions.iter().map(|c| &c.result));
                open.extend(else_result.as_deref());
            }
            Expr::Function(f) if f.name.to_string().eq_ignore_ascii_case("coalesce") => open.extend(parts(next)),
            _ => found.extend(word(next).map(|w| (w.to_owned(), source.place(next.span())))),
        }
    }
    found
}

/// The words to which a condition ties a column: `column = 'x'` or `column IN (..)` among terms that must all hold.
pub(crate) fn pinned(text: &str, column: &str) -> Vec<String> {
    let Ok((tree, _)) = parse(text) else { return Vec::new() };
    let is_column = |tree: &Expr| matches!(bare(tree), Expr::Identifier(name) if name.value == column);
    let mut found = Vec::new();
    let mut open = vec![&tree];
    while let Some(next) = open.pop() {
        match next {
            Expr::Nested(inner) => open.push(inner),
            Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
                open.push(left);
                open.push(right);
            }
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_column(left) => found.extend(word(right)),
            Expr::BinaryOp { left, op: BinaryOperator::Eq, right } if is_column(right) => found.extend(word(left)),
            Expr::InList { expr, list, negated: false } if is_column(expr) => {
                found.extend(list.iter().filter_map(word))
            }
            _ => {}
        }
    }
    found.into_iter().map(str::to_owned).collect()
}

/// Says that a word is none of those that a column may have.
pub(crate) fn no_word(word: &str, column: &str, words: &[&str], place: Place) -> ExpressionError {
    let error = ExpressionError::new(
        "sql-word",
        format!("{column} is never '{word}'"),
        format!("{column} 没有“{word}”这个值"),
        place,
    );
    let near = nearest(word, words.iter().copied());
    let near = near.map(|w| format!("did you mean '{w}'? / 是否为 '{w}'?"));
    let all = (words.len() <= LISTED).then(|| format!("one of / 可用: {}", words.join(", ")));
    match near.into_iter().chain(all).collect::<Vec<_>>().join("; ") {
        none if none.is_empty() => error,
        hint => error.hint(hint),
    }
}

struct Seeker<'a> {
    source: &'a Source,
    columns: &'a Schema,
    found: Vec<ExpressionError>,
}

impl Seeker<'_> {
    fn look(&mut self, tree: &Expr) {
        match tree {
            Expr::BinaryOp { left, op, right } => {
                let equal = matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq);
                let ordered =
                    matches!(op, BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq);
                for (one, other) in [(left, right), (right, left)] {
                    if (equal || ordered) && is_null(other) {
                        self.null(one, other, *op == BinaryOperator::NotEq);
                        break;
                    }
                    if equal {
                        self.words(one, [other.as_ref()]);
                    }
                }
            }
            Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
                self.words(left, [right.as_ref()]);
                self.words(right, [left.as_ref()]);
            }
            Expr::InList { expr, list, negated } => {
                if let Some(null) = list.iter().find(|e| is_null(e)) {
                    self.null(expr, null, *negated);
                }
                self.words(expr, list);
            }
            Expr::Case { operand: Some(operand), conditions, .. } => {
                if let Some(null) = conditions.iter().map(|c| &c.condition).find(|e| is_null(e)) {
                    self.null(operand, null, false);
                }
                self.words(operand, conditions.iter().map(|c| &c.condition));
            }
            _ => {}
        }
    }

    /// A comparison with NULL, which is neither true nor false.
    fn null(&mut self, what: &Expr, null: &Expr, negated: bool) {
        let what = if is_null(what) { "column".to_owned() } else { what.to_string() };
        let is = if negated { "IS NOT NULL" } else { "IS NULL" };
        let error = ExpressionError::new(
            "sql-null",
            "a comparison with NULL is never true",
            "与 NULL 比较永远不成立",
            self.source.place(null.span()),
        );
        self.found.push(error.hint(format!("write {what} {is} / 请写 {what} {is}")));
    }

    /// A column beside words of which some are none of its own.
    fn words<'e>(&mut self, column: &Expr, others: impl IntoIterator<Item = &'e Expr>) {
        let Expr::Identifier(name) = bare(column) else { return };
        let Ok(field) = self.columns.field_with_name(&name.value) else { return };
        let Some(words) = field.metadata().get(WORDS) else { return };
        let words: Vec<&str> = words.split(' ').collect();
        for other in others {
            if let Some(word) = word(other).filter(|w| !words.contains(w)) {
                let place = join(None, self.source.place(bare(other).span()));
                self.found.push(no_word(word, &name.value, &words, place));
            }
        }
    }
}

fn bare(mut tree: &Expr) -> &Expr {
    while let Expr::Nested(inner) = tree {
        tree = inner;
    }
    tree
}

fn word(tree: &Expr) -> Option<&str> {
    match bare(tree) {
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

fn is_null(tree: &Expr) -> bool {
    matches!(bare(tree), Expr::Value(v) if v.value == Value::Null)
}

/// The expressions directly inside one.
fn parts(tree: &Expr) -> Vec<&Expr> {
    match tree {
        Expr::Nested(e)
        | Expr::UnaryOp { expr: e, .. }
        | Expr::IsNull(e)
        | Expr::IsNotNull(e)
        | Expr::IsTrue(e)
        | Expr::IsNotTrue(e)
        | Expr::IsFalse(e)
        | Expr::IsNotFalse(e)
        | Expr::Cast { expr: e, .. } => vec![e],
        Expr::BinaryOp { left, right, .. } => vec![left, right],
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => vec![left, right],
        Expr::Between { expr, low, high, .. } => vec![expr, low, high],
        Expr::InList { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
        Expr::Case { operand, conditions, else_result, .. } => {
            let whens = conditions.iter().flat_map(|c| [&c.condition, &c.result]);
            operand.as_deref().into_iter().chain(whens).chain(else_result.as_deref()).collect()
        }
        Expr::Function(f) => match &f.args {
            FunctionArguments::List(list) => list
                .args
                .iter()
                .filter_map(|a| match a {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    fn told(text: &str) -> Vec<(String, Place)> {
        let words = [(WORDS.to_owned(), "good suspect fault".to_owned())].into();
        let columns = Schema::new(vec![
            Field::new("status", DataType::Utf8, true).with_metadata(words),
            Field::new("value", DataType::Float64, true),
            Field::new("category", DataType::Utf8, true),
        ]);
        never(text, &columns).into_iter().map(|e| (e.hint.unwrap_or_default(), e.span)).collect()
    }

    #[test]
    fn comparisons_that_no_row_fulfils_are_found_wherever_they_stand() {
        for (text, hint, place) in [
            ("status = 'god'", "did you mean 'good'?", (9, 5)),
            ("'god' = status", "one of / 可用: good, suspect, fault", (0, 5)),
            ("value > 1 AND (status <> 'xyz')", "one of", (25, 5)),
            ("status IN ('good', 'falt')", "'fault'", (19, 6)),
            ("CASE status WHEN 'bad' THEN 1 ELSE 0 END > 0", "one of", (17, 5)),
            ("COALESCE(status = 'off', false)", "one of", (18, 5)),
            ("status IS NOT DISTINCT FROM 'off'", "one of", (28, 5)),
            ("value = NULL", "write value IS NULL", (8, 4)),
            ("NULL <> category", "write category IS NOT NULL", (0, 4)),
            ("value > NULL", "IS NULL", (8, 4)),
            ("category NOT IN ('a', NULL)", "write category IS NOT NULL", (22, 4)),
        ] {
            let found = told(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert_eq!(found[0].1, Some(place), "{text}");
            assert!(found[0].0.contains(hint), "{text}: {}", found[0].0);
        }
    }

    #[test]
    fn comparisons_that_some_row_fulfils_are_left_alone() {
        for text in [
            "status = 'good' OR status IN ('fault', 'suspect')",
            "category = 'anything'",
            "status IS NULL",
            "status = category",
            "COALESCE(status, 'none') = 'none'",
            "CASE WHEN value > 1 THEN NULL ELSE value END > 2",
        ] {
            assert_eq!(told(text), [], "{text}");
        }
    }

    #[test]
    fn the_texts_that_an_expression_gives_are_found() {
        let mut found: Vec<String> =
            results("CASE WHEN v = 'x' THEN 'a' ELSE COALESCE(w, ('b')) END").into_iter().map(|(w, _)| w).collect();
        found.sort();
        assert_eq!(found, ["a", "b"]);
    }
}
