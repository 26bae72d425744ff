//! From the syntax tree to checked, typed operations.
//!
//! In: one tree of the parser, the columns. Out: DataFusion physical expressions over them, with every type settled, so
//! that nothing is left to fail on a batch; or the first thing that is not allowed, with its place and a hint.
//! The allow-list is the `match` in `expr`: what is not named there is refused. Operations on literals alone are done
//! here, once.
//! Not here: what the functions do (`functions`), limits on text and tokens (`parse`).

use super::call::{Call, Counted, Prepared, Run, take_failed};
use super::class::{self, Class, Want, castable};
use super::error::{ExpressionError, Place, nearest};
use super::functions::{self, arithmetic, choose, interval};
use super::parse::Source;
use crate::record::Type;
use arrow::array::RecordBatchOptions;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions as df;
use sqlparser::ast::{self, BinaryOperator, Expr, UnaryOperator, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Operations inside each other. AND, OR and `||` of many terms count once: they become balanced trees. Every level
/// is a few stack frames when the tree is made, evaluated and dropped, and a thread has 2 MB.
const DEPTH_MAX: usize = 48;

/// An operation with its class.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    pub(super) expr: Arc<dyn PhysicalExpr>,
    pub(super) class: Class,
    /// The value, if it does not depend on the row.
    pub(super) literal: Option<ScalarValue>,
    /// Months and milliseconds of a literal interval.
    pub(super) interval: Option<(i32, i64)>,
    pub(super) place: Place,
}

impl Typed {
    /// The text of a literal that is text and not null.
    pub(super) fn literal_text(&self) -> Option<&str> {
        match &self.literal {
            Some(ScalarValue::Utf8(Some(text))) => Some(text),
            _ => None,
        }
    }
}

/// What `lower` gives: the operation, and the positions of the columns that it reads.
pub(super) struct Lowered {
    pub(super) value: Typed,
    pub(super) columns: BTreeSet<usize>,
}

/// Turns a tree into typed operations whose result fits the place that asks.
pub(super) fn lower(tree: &Expr, source: &Source, schema: &Schema, want: Want) -> Result<Lowered, ExpressionError> {
    let mut lowering = Lowering { schema, source, columns: BTreeSet::new(), depth: 0 };
    let value = lowering.expr(tree)?;
    let value = lowering.wanted(value, want)?;
    Ok(Lowered { value, columns: lowering.columns })
}

pub(super) struct Lowering<'a> {
    schema: &'a Schema,
    source: &'a Source,
    columns: BTreeSet<usize>,
    depth: usize,
}

type Answer = Result<Typed, ExpressionError>;

/// The smallest place that holds both.
pub(super) fn join(a: Place, b: Place) -> Place {
    match (a, b) {
        (Some((s1, l1)), Some((s2, l2))) => {
            let start = s1.min(s2);
            Some((start, (s1 + l1).max(s2 + l2) - start))
        }
        (one, None) | (None, one) => one,
    }
}

fn not_allowed(what: &str, zh: &str, place: Place) -> ExpressionError {
    ExpressionError::syntax(format!("{what} is not allowed in an expression"), format!("表达式中不能使用{zh}"), place)
}

impl Lowering<'_> {
    fn expr(&mut self, tree: &Expr) -> Answer {
        // Parentheses are no operation: the parser has counted them, and here they cost no frame.
        let mut tree = tree;
        while let Expr::Nested(inner) = tree {
            tree = inner;
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let en = format!("the expression has more than {DEPTH_MAX} operations inside each other");
            return Err(ExpressionError::limit(en, format!("运算嵌套超过 {DEPTH_MAX} 层"), None)
                .hint("split it, or use IN (...) / 请拆分,或改用 IN (...)"));
        }
        let answer = self.allowed(tree);
        self.depth -= 1;
        answer
    }

    fn allowed(&mut self, tree: &Expr) -> Answer {
        match tree {
            Expr::Identifier(ident) => self.column(&ident.value, self.source.place(ident.span)),
            Expr::CompoundIdentifier(parts) => {
                let name: Vec<&str> = parts.iter().map(|p| p.value.as_str()).collect();
                let place = parts.iter().map(|p| self.source.place(p.span)).fold(None, join);
                self.column(&name.join("."), place)
            }
            Expr::Value(v) => self.value(&v.value, self.source.place(v.span)),
            Expr::TypedString(t) => self.typed_string(t),
            Expr::Interval(i) => self.interval(i),
            Expr::UnaryOp { op, expr } => self.unary(*op, expr),
            Expr::BinaryOp { op: BinaryOperator::And, .. } => self.logic(tree, &BinaryOperator::And, Operator::And),
            Expr::BinaryOp { op: BinaryOperator::Or, .. } => self.logic(tree, &BinaryOperator::Or, Operator::Or),
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => {
                let args = self.chain(tree, &BinaryOperator::StringConcat)?;
                self.apply("||", args, None)
            }
            Expr::BinaryOp { left, op, right } => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                self.binary(op, left, right)
            }
            Expr::IsNull(e) => self.is_null(e, false),
            Expr::IsNotNull(e) => self.is_null(e, true),
            Expr::IsTrue(e) => self.is_truth(e, Operator::IsNotDistinctFrom, true),
            Expr::IsNotTrue(e) => self.is_truth(e, Operator::IsDistinctFrom, true),
            Expr::IsFalse(e) => self.is_truth(e, Operator::IsNotDistinctFrom, false),
            Expr::IsNotFalse(e) => self.is_truth(e, Operator::IsDistinctFrom, false),
            Expr::IsDistinctFrom(l, r) => {
                let (l, r) = (self.expr(l)?, self.expr(r)?);
                self.compare(Operator::IsDistinctFrom, l, r)
            }
            Expr::IsNotDistinctFrom(l, r) => {
                let (l, r) = (self.expr(l)?, self.expr(r)?);
                self.compare(Operator::IsNotDistinctFrom, l, r)
            }
            Expr::InList { expr, list, negated } => self.in_list(expr, list, *negated),
            Expr::Between { expr, negated, low, high } => {
                let args = vec![self.expr(expr)?, self.expr(low)?, self.expr(high)?];
                let args = self.alike(args)?;
                self.ordered(&args)?;
                let between = self.call("BETWEEN", choose::between, args, Class::Bool, Prepared::Nothing);
                Ok(if *negated { self.negate(between) } else { between })
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(*negated, false, expr, pattern)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                self.like(*negated, true, expr, pattern)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())
            }
            Expr::Cast { kind, expr, data_type, array: false, format: None } => {
                let value = self.expr(expr)?;
                let counted = match kind {
                    ast::CastKind::Cast | ast::CastKind::DoubleColon => Counted::Yes,
                    ast::CastKind::TryCast | ast::CastKind::SafeCast => Counted::No,
                };
                self.explicit_cast(value, data_type, counted)
            }
            Expr::Function(f) => self.function(f),
            Expr::Extract { field, expr, .. } => {
                let part = self.word(&field.to_string());
                let args = vec![part, self.expr(expr)?];
                self.apply("date_part", args, None)
            }
            Expr::Ceil { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let args = vec![self.expr(expr)?];
                self.apply("ceil", args, None)
            }
            Expr::Floor { expr, field: ast::CeilFloorKind::DateTimeField(ast::DateTimeField::NoDateTime) } => {
                let args = vec![self.expr(expr)?];
                self.apply("floor", args, None)
            }
            Expr::Position { expr, r#in } => {
                let (what, within) = (self.expr(expr)?, self.expr(r#in)?);
                self.apply("strpos", vec![within, what], None)
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut args = vec![self.expr(expr)?];
                match substring_from {
                    Some(from) => args.push(self.expr(from)?),
                    None => args.push(self.literal(ScalarValue::Int64(Some(1)), Class::Int, None)),
                }
                if let Some(len) = substring_for {
                    args.push(self.expr(len)?);
                }
                self.apply("substr", args, None)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let mut args = vec![self.expr(expr)?];
                if let Some(what) = trim_what {
                    args.push(self.expr(what)?);
                }
                let name = match trim_where {
                    None | Some(ast::TrimWhereField::Both) => "trim",
                    Some(ast::TrimWhereField::Leading) => "ltrim",
                    Some(ast::TrimWhereField::Trailing) => "rtrim",
                };
                self.apply(name, args, None)
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                Err(not_allowed("a subquery", "子查询", None)
                    .hint("read other records through a lookup / 其他记录请用 lookup"))
            }
            Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => Err(not_allowed("*", "星号", None)),
            Expr::AtTimeZone { .. } => {
                Err(not_allowed("AT TIME ZONE", " AT TIME ZONE", None)
                    .hint("all times are at +08:00 / 时间一律为 +08:00"))
            }
            Expr::Like { .. } | Expr::ILike { .. } => {
                Err(not_allowed("LIKE with ANY or ESCAPE", "带 ANY 或 ESCAPE 的 LIKE", None))
            }
            _ => Err(not_allowed("this form", "此写法", None)),
        }
    }

    // Columns and literals.

    /// A column by its name, brought to its class.
    pub(super) fn column(&mut self, name: &str, place: Place) -> Answer {
        let Ok(index) = self.schema.index_of(name) else {
            let error = ExpressionError::new(
                "sql-column",
                format!("no column \"{name}\" here"),
                format!("没有列“{name}”"),
                place,
            );
            return Err(match nearest(name, self.schema.fields().iter().map(|f| f.name().as_str())) {
                Some(known) => error.hint(format!("did you mean \"{known}\"? / 是否指 {known}?")),
                None => error.hint(format!("a text stands in single quotes: '{name}' / 文本要加单引号: '{name}'")),
            });
        };
        let ty = self.schema.field(index).data_type();
        let Some(class) = Class::of(ty) else {
            let (en, zh) = (format!("column \"{name}\" has type {ty}"), format!("列“{name}”的类型是 {ty}"));
            return Err(ExpressionError::ty(
                format!("{en}, which expressions cannot read"),
                format!("{zh},无法读取"),
                place,
            ));
        };
        self.columns.insert(index);
        let expr: Arc<dyn PhysicalExpr> = Arc::new(df::Column::new(name, index));
        let raw = Typed { expr, class, literal: None, interval: None, place };
        let cast = Prepared::Cast(class, Counted::Yes);
        Ok(match class {
            Class::Null => self.literal(ScalarValue::Null, Class::Null, place),
            Class::Float if *ty == Class::Float.arrow() => {
                self.call("column", class::finite_column, vec![raw], class, Prepared::Nothing)
            }
            _ if *ty == class.arrow() => raw,
            // A decimal of the same scale but another precision, a 32-bit number, a dictionary.
            _ => self.call("column", class::normal, vec![raw], class, cast),
        })
    }

    pub(super) fn literal(&self, value: ScalarValue, class: Class, place: Place) -> Typed {
        let expr: Arc<dyn PhysicalExpr> = Arc::new(df::Literal::new(value.clone()));
        Typed { expr, class, literal: Some(value), interval: None, place }
    }

    fn word(&self, text: &str) -> Typed {
        self.literal(ScalarValue::Utf8(Some(text.to_lowercase())), Class::Text, None)
    }

    fn null(&self, class: Class, place: Place) -> Typed {
        let value = ScalarValue::try_from(class.arrow()).expect("every class has a null");
        self.literal(value, class, place)
    }

    fn value(&self, value: &Value, place: Place) -> Answer {
        Ok(match value {
            Value::Number(digits, false) => match digits.parse::<i64>() {
                Ok(n) => self.literal(ScalarValue::Int64(Some(n)), Class::Int, place),
                Err(_) => match digits.parse::<f64>() {
                    Ok(x) if x.is_finite() => self.literal(ScalarValue::Float64(Some(x)), Class::Float, place),
                    _ => {
                        let (en, zh) = (format!("{digits} is no finite number"), format!("{digits} 不是有限数值"));
                        return Err(ExpressionError::ty(en, zh, place));
                    }
                },
            },
            Value::SingleQuotedString(text) => self.literal(ScalarValue::Utf8(Some(text.clone())), Class::Text, place),
            Value::Boolean(b) => self.literal(ScalarValue::Boolean(Some(*b)), Class::Bool, place),
            Value::Null => self.literal(ScalarValue::Null, Class::Null, place),
            _ => return Err(not_allowed("this literal", "此种字面量", place).hint("write 'text' / 文本写作 'text'")),
        })
    }

    fn typed_string(&self, typed: &ast::TypedString) -> Answer {
        let place = self.source.place(typed.value.span);
        let class = self.class_of_sql(&typed.data_type)?;
        let (Class::Time | Class::Date, Value::SingleQuotedString(text)) = (class, &typed.value.value) else {
            return Err(not_allowed("this literal", "此种字面量", place));
        };
        let text = self.literal(ScalarValue::Utf8(Some(text.clone())), Class::Text, place);
        self.to(text, class)
    }

    fn interval(&self, written: &ast::Interval) -> Answer {
        let place = match written.value.as_ref() {
            Expr::Value(v) => self.source.place(v.span),
            _ => None,
        };
        let wrong = || {
            ExpressionError::syntax("an interval is written INTERVAL '15 days'", "时间间隔写作 INTERVAL '15 days'", place)
                .hint("years, months, weeks, days, hours, minutes, seconds / 单位: years months weeks days hours minutes seconds")
        };
        if written.last_field.is_some()
            || written.leading_precision.is_some()
            || written.fractional_seconds_precision.is_some()
        {
            return Err(wrong());
        }
        let text = match written.value.as_ref() {
            Expr::Value(v) => match &v.value {
                Value::SingleQuotedString(text) => text.clone(),
                Value::Number(digits, false) => digits.clone(),
                _ => return Err(wrong()),
            },
            _ => return Err(wrong()),
        };
        let text = match &written.leading_field {
            Some(field) => format!("{text} {field}"),
            None => text,
        };
        let value = interval::parse(&text).ok_or_else(wrong)?;
        Ok(Typed { interval: Some(value), ..self.literal(ScalarValue::Null, Class::Interval, place) })
    }

    // Operators.

    fn unary(&mut self, op: UnaryOperator, expr: &Expr) -> Answer {
        let value = self.expr(expr)?;
        match op {
            UnaryOperator::Not => {
                let value = self.condition(value)?;
                Ok(self.negate(value))
            }
            UnaryOperator::Minus if value.class == Class::Interval => {
                Ok(Typed { interval: value.interval.map(|(m, ms)| (-m, -ms)), ..value })
            }
            UnaryOperator::Minus => {
                let zero = self.literal(ScalarValue::Int64(Some(0)), Class::Int, value.place);
                self.arithmetic(&BinaryOperator::Minus, zero, value)
            }
            UnaryOperator::Plus if value.class.is_number() => Ok(value),
            _ => Err(not_allowed(&format!("the operator {op}"), &format!("运算符 {op} "), value.place)),
        }
    }

    /// The terms of a chain of one operator, from left to right. The parser leans such a chain to the left, one level
    /// a term; going down in a loop keeps the stack out of it.
    fn chain(&mut self, tree: &Expr, op: &BinaryOperator) -> Result<Vec<Typed>, ExpressionError> {
        let mut terms = Vec::new();
        let mut node = tree;
        while let Expr::BinaryOp { left, op: this, right } = node
            && this == op
        {
            terms.push(right.as_ref());
            node = left;
        }
        terms.push(node);
        terms.into_iter().rev().map(|term| self.expr(term)).collect()
    }

    fn logic(&mut self, tree: &Expr, op: &BinaryOperator, operator: Operator) -> Answer {
        let mut terms = Vec::new();
        for term in self.chain(tree, op)? {
            terms.push(self.condition(term)?);
        }
        // Pair by pair, so that a hundred terms are seven levels deep and the order is kept.
        while terms.len() > 1 {
            let mut paired = Vec::with_capacity(terms.len().div_ceil(2));
            let mut rest = terms.into_iter();
            while let Some(left) = rest.next() {
                paired.push(match rest.next() {
                    Some(right) => self.operate(operator, left, right, Class::Bool),
                    None => left,
                });
            }
            terms = paired;
        }
        Ok(terms.pop().expect("a chain has at least two terms"))
    }

    fn binary(&mut self, op: &BinaryOperator, left: Typed, right: Typed) -> Answer {
        let operator = match op {
            BinaryOperator::Eq => Operator::Eq,
            BinaryOperator::NotEq => Operator::NotEq,
            BinaryOperator::Lt => Operator::Lt,
            BinaryOperator::LtEq => Operator::LtEq,
            BinaryOperator::Gt => Operator::Gt,
            BinaryOperator::GtEq => Operator::GtEq,
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => return self.arithmetic(op, left, right),
            _ => {
                let error =
                    not_allowed(&format!("the operator {op}"), &format!("运算符 {op} "), join(left.place, right.place));
                return Err(match op {
                    BinaryOperator::PGRegexMatch | BinaryOperator::PGRegexIMatch => {
                        error.hint("use regexp_like(text, 'pattern') / 请用 regexp_like")
                    }
                    BinaryOperator::Arrow | BinaryOperator::LongArrow => {
                        error.hint("use json_text(column, 'a.b') / 请用 json_text 或 json_number")
                    }
                    _ => error,
                });
            }
        };
        self.compare(operator, left, right)
    }

    fn compare(&mut self, operator: Operator, left: Typed, right: Typed) -> Answer {
        let mut both = self.alike(vec![left, right])?;
        if matches!(operator, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) {
            self.ordered(&both)?;
        }
        let right = both.pop().expect("two went in");
        let left = both.pop().expect("two went in");
        if left.class == Class::List {
            return Err(ExpressionError::ty("a list is not compared", "列表不能比较", join(left.place, right.place))
                .hint("use list_contains(column, 'x') or has_tag('x') / 请用 list_contains 或 has_tag"));
        }
        Ok(self.operate(operator, left, right, Class::Bool))
    }

    fn ordered(&self, values: &[Typed]) -> Result<(), ExpressionError> {
        match values.iter().find(|v| matches!(v.class, Class::Bool | Class::List)) {
            Some(v) => {
                let (en, zh) = v.class.words();
                Err(ExpressionError::ty(format!("{en} has no order"), format!("{zh}不能比较大小"), v.place))
            }
            None => Ok(()),
        }
    }

    fn is_null(&mut self, expr: &Expr, negated: bool) -> Answer {
        let value = self.expr(expr)?;
        let arg = Arc::clone(&value.expr);
        let expr: Arc<dyn PhysicalExpr> =
            if negated { Arc::new(df::IsNotNullExpr::new(arg)) } else { Arc::new(df::IsNullExpr::new(arg)) };
        let literal = value.literal.is_some();
        Ok(self.fold(expr, Class::Bool, literal, value.place))
    }

    fn is_truth(&mut self, expr: &Expr, operator: Operator, truth: bool) -> Answer {
        let value = self.expr(expr)?;
        let value = self.condition(value)?;
        let truth = self.literal(ScalarValue::Boolean(Some(truth)), Class::Bool, value.place);
        Ok(self.operate(operator, value, truth, Class::Bool))
    }

    fn in_list(&mut self, expr: &Expr, list: &[Expr], negated: bool) -> Answer {
        let mut values = vec![self.expr(expr)?];
        for item in list {
            values.push(self.expr(item)?);
        }
        let mut values = self.alike(values)?;
        let place = values.iter().map(|v| v.place).fold(None, join);
        let value = values.remove(0);
        if value.class == Class::List {
            return Err(ExpressionError::ty("a list is not compared", "列表不能比较", value.place)
                .hint("use list_contains(column, 'x') / 请用 list_contains"));
        }
        let literal = value.literal.is_some() && values.iter().all(|v| v.literal.is_some());
        if value.class == Class::Null {
            return Ok(self.null(Class::Bool, place));
        }
        if values.len() <= choose::FEW {
            values.insert(0, value);
            let found = self.call("IN", choose::one_of, values, Class::Bool, Prepared::Nothing);
            return Ok(if negated { self.negate(found) } else { found });
        }
        let items = values.into_iter().map(|v| v.expr).collect();
        let expr = df::in_list(value.expr, items, &negated, self.schema).map_err(|e| {
            ExpressionError::ty(e.strip_backtrace(), format!("类型不符:{}", e.strip_backtrace()), place)
        })?;
        Ok(self.fold(expr, Class::Bool, literal, place))
    }

    fn like(&mut self, negated: bool, any_case: bool, expr: &Expr, pattern: &Expr) -> Answer {
        let value = self.expr(expr)?;
        let pattern = self.expr(pattern)?;
        let place = join(value.place, pattern.place);
        let value = self.exactly(value, Class::Text)?;
        match pattern.literal_text() {
            Some(text) if text.len() <= functions::PATTERN_MAX => {}
            _ => {
                return Err(ExpressionError::ty(
                    format!("the pattern of LIKE is a text in quotes of at most {} bytes", functions::PATTERN_MAX),
                    "LIKE 的模式须为引号中的文本",
                    pattern.place,
                ));
            }
        }
        let literal = value.literal.is_some();
        let expr: Arc<dyn PhysicalExpr> = Arc::new(df::LikeExpr::new(negated, any_case, value.expr, pattern.expr));
        Ok(self.fold(expr, Class::Bool, literal, place))
    }

    fn case(&mut self, operand: Option<&Expr>, whens: &[ast::CaseWhen], otherwise: Option<&Expr>) -> Answer {
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        if let Some(operand) = operand {
            conditions.push(self.expr(operand)?);
        }
        for when in whens {
            let condition = self.expr(&when.condition)?;
            conditions.push(if operand.is_some() { condition } else { self.condition(condition)? });
            results.push(self.expr(&when.result)?);
        }
        if let Some(otherwise) = otherwise {
            results.push(self.expr(otherwise)?);
        }
        if operand.is_some() {
            conditions = self.alike(conditions)?;
        }
        let results = self.alike(results)?;
        let place = conditions.iter().chain(&results).map(|v| v.place).fold(None, join);
        let class = results.first().map_or(Class::Null, |r| r.class);
        if class == Class::Interval {
            return Err(not_allowed("an interval in CASE", "CASE 中的时间间隔", place));
        }
        let literal = conditions.iter().chain(&results).all(|v| v.literal.is_some());
        let mut conditions = conditions.into_iter().map(|c| c.expr);
        let base = operand.and_then(|_| conditions.next());
        let mut results = results.into_iter().map(|r| r.expr);
        let pairs: Vec<_> = conditions.zip(results.by_ref()).collect();
        let expr = df::case(base, pairs, results.next()).map_err(|e| {
            ExpressionError::ty(e.strip_backtrace(), format!("类型不符:{}", e.strip_backtrace()), place)
        })?;
        Ok(self.fold(expr, class, literal, place))
    }

    fn arithmetic(&mut self, op: &BinaryOperator, left: Typed, right: Typed) -> Answer {
        use Class::{Date, Decimal, Float, Int, Interval, Null, Time};
        let place = join(left.place, right.place);
        let minus = *op == BinaryOperator::Minus;
        let additive = minus || *op == BinaryOperator::Plus;
        match (left.class, right.class) {
            (Time | Date, Interval) if additive => return Ok(self.add_interval(left, &right, minus)),
            (Interval, Time | Date) if *op == BinaryOperator::Plus => return Ok(self.add_interval(right, &left, false)),
            (Date, Date) if minus => {
                return Ok(self.call("-", arithmetic::days, vec![left, right], Int, Prepared::Nothing));
            }
            (Date, Int) if additive => {
                let run: Run = if minus { arithmetic::day_minus } else { arithmetic::day_plus };
                return Ok(self.call("+", run, vec![left, right], Date, Prepared::Nothing));
            }
            (Time | Date, Time | Date) if minus => {
                return Err(ExpressionError::ty("times are not subtracted with -", "时间不能直接相减", place).hint(
                    "use days_between(from, to) or hours_between(from, to) / 请用 days_between 或 hours_between",
                ));
            }
            _ => {}
        }
        for side in [&left, &right] {
            if !side.class.is_number() && side.class != Null {
                let (en, zh) = side.class.words();
                let error = ExpressionError::ty(
                    format!("{en} cannot be used with {op}"),
                    format!("{zh}不能用于 {op} 运算"),
                    side.place,
                );
                return Err(match side.class {
                    Class::Text => error.hint("use text_number(text) or json_number(column, 'a.b') / 请用 text_number"),
                    Class::Bool => error.hint("use CASE WHEN .. THEN 1 ELSE 0 END / 请用 CASE WHEN"),
                    _ => error,
                });
            }
        }
        let class = match (op, left.class, right.class) {
            // A share of counts must not be cut to a whole number: 9 / 10 is 0.9.
            (BinaryOperator::Divide, ..) | (_, Float, _) | (_, _, Float) | (_, Null, Null) => Float,
            (_, Int | Null, Int | Null) => Int,
            _ if additive => Decimal,
            _ => Float,
        };
        let run = arithmetic::run(op, class);
        let args = vec![self.convert(left, class), self.convert(right, class)];
        let name = match op {
            BinaryOperator::Plus => "+",
            BinaryOperator::Minus => "-",
            BinaryOperator::Multiply => "*",
            BinaryOperator::Divide => "/",
            _ => "%",
        };
        Ok(self.call(name, run, args, class, Prepared::Nothing))
    }

    fn add_interval(&mut self, value: Typed, interval: &Typed, minus: bool) -> Typed {
        let (months, ms) = interval.interval.unwrap_or_default();
        let (months, ms) = if minus { (-months, -ms) } else { (months, ms) };
        let prepared = Prepared::Interval(months, ms);
        if value.class == Class::Date && ms % crate::record::time::DAY == 0 {
            return self.call("+", interval::add_to_day, vec![value], Class::Date, prepared);
        }
        let value = self.convert(value, Class::Time);
        self.call("+", interval::add_to_time, vec![value], Class::Time, prepared)
    }

    // Functions.

    fn function(&mut self, f: &ast::Function) -> Answer {
        let parts: Option<Vec<&ast::Ident>> = f.name.0.iter().map(|part| part.as_ident()).collect();
        let Some([ident]) = parts.as_deref() else {
            return Err(not_allowed("a qualified function name", "带前缀的函数名", None));
        };
        let place = self.source.place(ident.span);
        let name = ident.value.to_lowercase();
        if functions::find(&name).is_none() || name == "||" {
            return Err(functions::unknown(&name, place));
        }
        let plain = f.filter.is_none()
            && f.over.is_none()
            && f.null_treatment.is_none()
            && f.within_group.is_empty()
            && !f.uses_odbc_syntax
            && matches!(f.parameters, ast::FunctionArguments::None);
        let list = match &f.args {
            ast::FunctionArguments::List(list)
                if plain && list.clauses.is_empty() && list.duplicate_treatment.is_none() =>
            {
                list
            }
            _ => return Err(not_allowed("this kind of call", "此种函数写法", place)),
        };
        let mut args = Vec::new();
        for arg in &list.args {
            match arg {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e)) => args.push(self.expr(e)?),
                _ => return Err(not_allowed("this kind of argument", "此种参数写法", place)),
            }
        }
        self.apply(&name, args, place)
    }

    /// Applies an allow-listed function.
    fn apply(&mut self, name: &str, args: Vec<Typed>, place: Place) -> Answer {
        let function = functions::find(name).ok_or_else(|| functions::unknown(name, place))?;
        let whole = args.iter().map(|a| a.place).fold(place, join);
        let mut result = function.bind(self, args, place.or(whole))?;
        result.place = whole;
        Ok(result)
    }

    /// A call, or its value if it depends on no row.
    pub(super) fn call(
        &self,
        name: &'static str,
        run: Run,
        args: Vec<Typed>,
        class: Class,
        prepared: Prepared,
    ) -> Typed {
        let literal = args.iter().all(|a| a.literal.is_some());
        let place = args.iter().map(|a| a.place).fold(None, join);
        let args = args.into_iter().map(|a| a.expr).collect();
        self.fold(Arc::new(Call { name, run, args, returns: class.arrow(), prepared }), class, literal, place)
    }

    fn operate(&self, operator: Operator, left: Typed, right: Typed, class: Class) -> Typed {
        let literal = left.literal.is_some() && right.literal.is_some();
        let place = join(left.place, right.place);
        self.fold(Arc::new(df::BinaryExpr::new(left.expr, operator, right.expr)), class, literal, place)
    }

    fn negate(&self, value: Typed) -> Typed {
        let literal = value.literal.is_some();
        self.fold(Arc::new(df::NotExpr::new(value.expr)), Class::Bool, literal, value.place)
    }

    fn fold(&self, expr: Arc<dyn PhysicalExpr>, class: Class, literal: bool, place: Place) -> Typed {
        if literal {
            let options = RecordBatchOptions::new().with_row_count(Some(1));
            let value = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)
                .ok()
                .and_then(|row| expr.evaluate(&row).ok()?.into_array(1).ok())
                .and_then(|array| ScalarValue::try_from_array(&array, 0).ok());
            // A literal operation that cannot be done is null for every row; it is no row's failure.
            take_failed();
            return match value {
                Some(value) => self.literal(value, class, place),
                None => self.null(class, place),
            };
        }
        Typed { expr, class, literal: None, interval: None, place }
    }

    // Classes.

    /// The same value in another class; the pair is known to be castable.
    pub(super) fn convert(&self, value: Typed, to: Class) -> Typed {
        self.convert_counted(value, to, Counted::Yes)
    }

    fn convert_counted(&self, value: Typed, to: Class, counted: Counted) -> Typed {
        if value.class == to {
            return value;
        }
        if value.class == Class::Null {
            return self.null(to, value.place);
        }
        let prepared = Prepared::Cast(value.class, counted);
        self.call("cast", class::cast, vec![value], to, prepared)
    }

    /// A value where a class is asked for: the class itself, a null, a whole number for a number, a day or a text
    /// literal for a time.
    pub(super) fn to(&self, value: Typed, class: Class) -> Answer {
        let fits = match (value.class, class) {
            (Class::Null, _) => true,
            (a, b) if a == b => true,
            (a, b) if a.is_number() && b.is_number() => b == Class::Float || (a, b) == (Class::Int, Class::Decimal),
            (Class::Date, Class::Time) => true,
            (Class::Text, Class::Time | Class::Date) if value.literal.is_some() => {
                let place = value.place;
                let text = value.literal_text().unwrap_or_default().to_owned();
                let cast = self.convert(value, class);
                if cast.literal.as_ref().is_some_and(ScalarValue::is_null) {
                    let (en, zh) = class.words();
                    return Err(ExpressionError::ty(format!("'{text}' is not {en}"), format!("'{text}' 不是{zh}"), place)
                        .hint("write '2026-03-01' or '2026-03-01T08:00:00+08:00' / 写作 '2026-03-01' 或 '2026-03-01T08:00:00+08:00'"));
                }
                return Ok(cast);
            }
            _ => false,
        };
        if fits { Ok(self.convert(value, class)) } else { Err(self.mismatch(&value, class)) }
    }

    /// Exactly the class, or null.
    fn exactly(&self, value: Typed, class: Class) -> Answer {
        if value.class == class || value.class == Class::Null {
            Ok(self.convert(value, class))
        } else {
            Err(self.mismatch(&value, class))
        }
    }

    fn condition(&self, value: Typed) -> Answer {
        self.exactly(value, Class::Bool)
    }

    fn mismatch(&self, value: &Typed, wanted: Class) -> ExpressionError {
        let ((is, is_zh), (want, want_zh)) = (value.class.words(), wanted.words());
        let error = ExpressionError::ty(
            format!("this is {is}, not {want}"),
            format!("此处是{is_zh},应为{want_zh}"),
            value.place,
        );
        match (value.class, wanted) {
            (Class::Text, Class::Int | Class::Decimal | Class::Float) => {
                error.hint("use text_number(text) or json_number(column, 'a.b') / 请用 text_number 或 json_number")
            }
            (Class::Text, Class::Time | Class::Date) => {
                error.hint("use CAST(text AS timestamp), CAST(text AS date) or json_date / 请用 CAST")
            }
            (Class::Text, Class::Bool) => error.hint("compare it: column = 'x' / 请写成比较式"),
            (Class::Int | Class::Float | Class::Decimal, Class::Bool) => {
                error.hint("compare it: column > 0 / 请写成比较式")
            }
            (Class::Int | Class::Float | Class::Decimal, Class::Text) => {
                error.hint("write the number in quotes, or use text_number(text) / 请给数值加引号,或用 text_number")
            }
            (Class::List, _) | (_, Class::List) => {
                error.hint("use list_contains(column, 'x') or list_length(column) / 请用 list_contains")
            }
            _ => error,
        }
    }

    /// Brings values that are compared or chosen among to one class.
    pub(super) fn alike(&self, values: Vec<Typed>) -> Result<Vec<Typed>, ExpressionError> {
        let is_text_literal = |v: &&Typed| v.class == Class::Text && v.literal.is_some();
        let mut common = Class::Null;
        for v in values.iter().filter(|v| !is_text_literal(v)) {
            common = match (common, v.class) {
                (Class::Null, c) | (c, Class::Null) => c,
                (a, b) if a == b => a,
                (Class::Decimal, Class::Int) if v.literal.is_some() => Class::Decimal,
                (a, b) if a.is_number() && b.is_number() => Class::Float,
                (Class::Time, Class::Date) | (Class::Date, Class::Time) => Class::Time,
                (a, _) => return Err(self.mismatch(v, a)),
            };
        }
        for v in values.iter().filter(is_text_literal) {
            common = match common {
                Class::Null | Class::Text => Class::Text,
                // '2026-03-01T08:00' beside a day asks for the time.
                Class::Date if v.literal_text().is_some_and(|t| t.contains(':')) => Class::Time,
                Class::Date | Class::Time => common,
                other => return Err(self.mismatch(v, other)),
            };
        }
        values
            .into_iter()
            .map(|v| match (v.class, common) {
                // A whole literal beside an amount: 50000 is 50000.00.
                (Class::Int, Class::Decimal) => Ok(self.convert(v, Class::Decimal)),
                _ => self.to(v, common),
            })
            .collect()
    }

    fn class_of_sql(&self, ty: &ast::DataType) -> Result<Class, ExpressionError> {
        let written = ty.to_string().to_uppercase();
        let word = written.split('(').next().unwrap_or_default().trim().to_owned();
        Ok(match word.as_str() {
            "BOOLEAN" | "BOOL" => Class::Bool,
            "INT" | "INTEGER" | "BIGINT" => Class::Int,
            "DOUBLE" | "DOUBLE PRECISION" | "FLOAT" | "REAL" => Class::Float,
            "DECIMAL" | "NUMERIC"
                if matches!(
                    written.replace(' ', "").as_str(),
                    "DECIMAL" | "NUMERIC" | "DECIMAL(18,2)" | "NUMERIC(18,2)"
                ) =>
            {
                Class::Decimal
            }
            "TEXT" | "VARCHAR" | "STRING" if !written.contains('(') => Class::Text,
            "TIMESTAMP" if !written.contains('(') => Class::Time,
            "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Class::Time,
            "DATE" => Class::Date,
            _ => {
                let (en, zh) = (format!("no cast to {written}"), format!("不能转换为 {written}"));
                return Err(ExpressionError::ty(en, zh, None).hint(
                    "int, double, decimal(18,2), text, boolean, date, timestamp / 可用类型: int double decimal(18,2) text boolean date timestamp",
                ));
            }
        })
    }

    fn explicit_cast(&self, value: Typed, ty: &ast::DataType, counted: Counted) -> Answer {
        let class = self.class_of_sql(ty)?;
        if !castable(value.class, class) {
            return Err(self.mismatch(&value, class));
        }
        Ok(self.convert_counted(value, class, counted))
    }

    /// The whole expression, in the class that its place asks for.
    fn wanted(&self, value: Typed, want: Want) -> Answer {
        if value.class == Class::Interval {
            return Err(not_allowed("an interval alone", "单独的时间间隔", value.place)
                .hint("add it to a time: occurred_at + INTERVAL '15 days' / 请与时间相加"));
        }
        let Some(class) = Class::wanted(want) else {
            return Ok(value);
        };
        match (want, value.class) {
            // Text literals that are no time, and texts where a number is asked for, are slips worth a message.
            (Want::Time | Want::Column(Type::Time | Type::Date), Class::Text) if value.literal.is_some() => {
                self.to(value, class)
            }
            (Want::Bool, from) if from != Class::Bool && from != Class::Null => Err(self.mismatch(&value, class)),
            (Want::Number, Class::Text) => Err(self.mismatch(&value, class)),
            (_, from) if castable(from, class) => Ok(self.convert(value, class)),
            _ => Err(self.mismatch(&value, class)),
        }
    }
}
