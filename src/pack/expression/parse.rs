//! From text to one syntax tree, within limits that are checked before the parser runs.
//!
//! In: the text of an expression. Out: one tree and nothing after it, or the first thing wrong, with its place.
//! Promised: no text takes long or exhausts a stack of 2 MB. The parser and everything after it recurse, so length,
//! tokens and nesting are counted on the token list first.
//! Not here: which parts of SQL are allowed (`lower`).

use super::class::Want;
use super::error::{ExpressionError, Place};
use sqlparser::ast::Expr;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

/// Bytes of an expression. The longest in the shipped packs has a few hundred.
const TEXT_MAX: usize = 8 * 1024;
/// Tokens, white space not counted.
const TOKENS_MAX: usize = 500;
/// Stack that the parser may take, in KB. sqlparser without optimisation (our debug builds) takes tens of KB a level,
/// measured: parentheses, an operator's right side or a sign 38, a call, CASE, NOT or IN (...) 93. With the levels
/// below that is at most 1.5 MB of a thread's 2 MB; written by hand, nothing comes near.
const NESTED_KB_MAX: usize = 1_000;
const KB_PLAIN: usize = 38;
const KB_CALL: usize = 93;
/// The parser's own guard counts every level, also those that no token shows (`a IS DISTINCT FROM a IS DISTINCT ..`).
const PARSER_DEPTH: usize = 26;

/// Words that begin what is never allowed. They are refused before the parser, which recurses into some of them
/// without its guard. A column of such a name can be written in double quotes.
const FORBIDDEN: &[Keyword] = &[
    Keyword::SELECT,
    Keyword::WITH,
    Keyword::EXISTS,
    Keyword::UNNEST,
    Keyword::TABLE,
    Keyword::LATERAL,
    Keyword::ARRAY,
    Keyword::STRUCT,
    Keyword::MAP,
    Keyword::TUPLE,
    Keyword::NESTED,
    Keyword::NULLABLE,
    Keyword::LOWCARDINALITY,
    Keyword::PRIOR,
    Keyword::CONVERT,
    Keyword::OVERLAY,
    Keyword::COLLATE,
    Keyword::OPERATOR,
    Keyword::CUBE,
    Keyword::ROLLUP,
    Keyword::GROUPING,
];

/// A text and where its lines begin, to turn the parser's line and column into a character offset.
pub(super) struct Source {
    line_starts: Vec<usize>,
    /// The first `||`.
    joined: Place,
}

impl Source {
    fn new(text: &str) -> Source {
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1);
        Source { line_starts: std::iter::once(0).chain(breaks).collect(), joined: None }
    }

    /// A condition whose types do not fit and that has a `||`: written for OR, mostly.
    pub(super) fn or_meant(&self, error: ExpressionError, want: Want) -> ExpressionError {
        match self.joined {
            Some(_) if error.code == "sql-type" && want == Want::Bool => {
                ExpressionError::ty("|| joins texts, it is not \"or\"", "|| 是连接文字,不是“或”", self.joined)
                    .hint("write OR / 请写 OR")
            }
            _ => error,
        }
    }

    fn offset(&self, at: Location) -> Option<usize> {
        let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
        self.line_starts.get(line).map(|start| start + column)
    }

    /// Character offset and length of the parser's span.
    pub(super) fn place(&self, span: Span) -> Place {
        let start = self.offset(span.start)?;
        let end = self.offset(span.end)?;
        Some((start, end.saturating_sub(start).max(1)))
    }
}

/// Parses exactly one expression.
pub(super) fn parse(text: &str) -> Result<(Expr, Source), ExpressionError> {
    if text.len() > TEXT_MAX {
        let en = format!("the expression has {} bytes, at most {TEXT_MAX} are allowed", text.len());
        return Err(ExpressionError::limit(en, format!("表达式过长,最多 {TEXT_MAX} 字节"), None));
    }
    let mut source = Source::new(text);
    let mut tokens = Vec::new();
    let tokenized = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens);
    if let Err(e) = tokenized {
        let at = source.offset(e.location).map(|start| (start, 1));
        return Err(match e.message.as_str() {
            "Unterminated string literal" => {
                ExpressionError::syntax("the quote that begins here is not closed", "此处开始的引号没有闭合", at)
                    .hint("write 'text' / 文本写作 'text'")
            }
            other => ExpressionError::syntax(other, format!("无法识别:{other}"), at),
        });
    }
    check_tokens(&tokens, &source)?;
    let joined = tokens.iter().find(|t| t.token == Token::StringConcat);
    source.joined = joined.and_then(|t| source.place(t.span));
    let places: Vec<Span> = tokens.iter().filter(|t| !is_space(&t.token)).map(|t| t.span).collect();
    let mut parser = Parser::new(&PostgreSqlDialect {}).with_recursion_limit(PARSER_DEPTH);
    parser = parser.with_tokens_with_locations(tokens);
    let tree = parser.parse_expr().map_err(|e| parser_error(&e, &source, places.last().copied()))?;
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        let place = source.place(rest.span);
        let en = format!("\"{}\" follows the end of the expression", rest.token);
        let zh = format!("表达式已结束,后面多出“{}”", rest.token);
        return Err(ExpressionError::syntax(en, zh, place)
            .hint("write exactly one expression: no comma, no semicolon, no alias / 只写一个表达式"));
    }
    Ok((tree, source))
}

fn is_space(token: &Token) -> bool {
    matches!(token, Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab))
}

fn check_tokens(tokens: &[TokenWithSpan], source: &Source) -> Result<(), ExpressionError> {
    let count = tokens.iter().filter(|t| !is_space(&t.token)).count();
    if count == 0 {
        return Err(ExpressionError::syntax("the expression is empty", "表达式为空", None));
    }
    if count > TOKENS_MAX {
        let en = format!("the expression has {count} words and signs, at most {TOKENS_MAX} are allowed");
        let zh = format!("表达式有 {count} 个词和符号,最多 {TOKENS_MAX} 个");
        return Err(ExpressionError::limit(en, zh, None).hint("use IN (...) or a table / 可改用 IN (...)"));
    }
    let mut nesting = Nesting::default();
    let mut open = Vec::new();
    // What stands before the token, when it asks for a condition behind it.
    let mut waits: Option<&str> = None;
    for t in tokens {
        if is_space(&t.token) {
            continue;
        }
        let place = source.place(t.span);
        match &t.token {
            Token::LParen => open.push(place),
            Token::RParen => drop(open.pop()),
            _ => {}
        }
        match (&t.token, waits) {
            (Token::Word(w), Some(before)) if w.quote_style.is_none() && joins(w.keyword) => {
                let (en, zh) = (format!("{} follows {before}", w.value), format!("{before} 之后不能是 {}", w.value));
                return Err(
                    ExpressionError::syntax(en, zh, place).hint("a condition stands between them / 两者之间应有条件")
                );
            }
            _ => {}
        }
        waits = match &t.token {
            Token::Word(w) if w.quote_style.is_none() && joins(w.keyword) => Some(&w.value),
            _ => None,
        };
        match &t.token {
            Token::Overlap => return Err(other_sign("&&", "AND", place)),
            Token::ExclamationMark => return Err(other_sign("!", "NOT", place)),
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
                return Err(ExpressionError::syntax(
                    "comments are not allowed inside an expression",
                    "表达式中不能写注释",
                    source.place(t.span),
                )
                .hint("write the comment in the YAML file with # / 注释请写在 YAML 中"));
            }
            Token::Char(c) => return Err(stray(*c, source.place(t.span))),
            // The tokenizer takes every non-ASCII character for a letter.
            Token::Word(w) if w.quote_style.is_none() && w.value.contains(is_typographic) => {
                let at = w.value.chars().position(is_typographic).unwrap_or(0);
                let c = w.value.chars().nth(at).unwrap_or('?');
                let place = source.place(t.span).map(|(start, _)| (start + at, 1));
                return Err(stray(c, place));
            }
            Token::Word(w) if w.quote_style.is_none() && FORBIDDEN.contains(&w.keyword) => {
                return Err(forbidden(w.keyword, &w.value, source.place(t.span)));
            }
            token => nesting.step(token),
        }
        if nesting.kb() > NESTED_KB_MAX {
            return Err(too_deep(source.place(t.span)));
        }
    }
    if let Some(place) = open.pop() {
        return Err(ExpressionError::syntax("this parenthesis is not closed", "此括号没有闭合", place));
    }
    Ok(())
}

fn joins(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::AND | Keyword::OR)
}

/// The places of `==`, which the parser takes for `=`.
pub(super) fn double_signs(text: &str) -> Vec<Place> {
    let source = Source::new(text);
    let mut tokens = Vec::new();
    match Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens) {
        Ok(()) => tokens.iter().filter(|t| t.token == Token::DoubleEq).map(|t| source.place(t.span)).collect(),
        Err(_) => Vec::new(),
    }
}

/// A sign of other languages.
fn other_sign(sign: &str, ours: &str, place: Place) -> ExpressionError {
    ExpressionError::syntax(format!("{sign} is no sign of SQL"), format!("SQL 中没有 {sign}"), place)
        .hint(format!("write {ours} / 请写 {ours}"))
}

fn too_deep(place: Place) -> ExpressionError {
    let error = ExpressionError::limit("the expression is nested too deep", "表达式嵌套过深", place);
    error.hint("at most 10 calls, CASE or NOT inside each other, or 25 parentheses / 函数、CASE、NOT 最多嵌套 10 层,括号 25 层")
}

fn forbidden(keyword: Keyword, word: &str, place: Place) -> ExpressionError {
    match keyword {
        Keyword::SELECT | Keyword::WITH | Keyword::EXISTS => {
            ExpressionError::syntax("a subquery is not allowed in an expression", "表达式中不能使用子查询", place)
                .hint("read other records through a lookup / 其他记录请用 lookup")
        }
        _ => ExpressionError::syntax(
            format!("{word} is not allowed in an expression"),
            format!("表达式中不能使用 {word}"),
            place,
        ),
    }
}

/// What the parser's recursion will cost at a token, judged from the tokens before it.
#[derive(Default)]
struct Nesting {
    levels: Vec<Level>,
    /// What the present level holds open by itself: signs and NOT before an operand.
    here: Level,
    after_word: bool,
    after_is: bool,
}

#[derive(Default)]
struct Level {
    /// Cost of opening the level.
    kb: usize,
    signs: usize,
    nots: usize,
    /// BETWEEN whose AND is still to come.
    betweens: usize,
    case: bool,
}

impl Nesting {
    fn kb(&self) -> usize {
        let cost = |l: &Level| l.kb + l.signs * KB_PLAIN + l.nots * KB_CALL;
        self.levels.iter().map(cost).sum::<usize>() + cost(&self.here)
    }

    fn open(&mut self, kb: usize, case: bool) {
        let outer = std::mem::replace(&mut self.here, Level { kb, case, ..Level::default() });
        self.levels.push(outer);
    }

    fn close(&mut self) {
        self.here = self.levels.pop().unwrap_or_default();
        self.here.signs = 0;
    }

    /// NOT and signs end where an operator that binds less begins.
    fn settle(&mut self) {
        (self.here.signs, self.here.nots, self.here.betweens) = (0, 0, 0);
    }

    fn step(&mut self, token: &Token) {
        let keyword = match token {
            Token::Word(w) if w.quote_style.is_none() => w.keyword,
            _ => Keyword::NoKeyword,
        };
        match token {
            Token::LParen => self.open(if self.after_word { KB_CALL } else { KB_PLAIN }, false),
            Token::LBracket | Token::LBrace => self.open(KB_CALL, false),
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Comma => self.settle(),
            Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark | Token::AtSign => self.here.signs += 1,
            _ => match keyword {
                Keyword::CASE => self.open(KB_CALL, true),
                Keyword::END if self.here.case => self.close(),
                Keyword::OR | Keyword::WHEN | Keyword::THEN | Keyword::ELSE => self.settle(),
                Keyword::BETWEEN => self.here.betweens += 1,
                Keyword::AND if self.here.betweens > 0 => self.here.betweens -= 1,
                Keyword::AND => self.settle(),
                // IS NOT NULL opens nothing; of `x NOT IN` and the like one too many is counted until the next AND.
                Keyword::NOT if !self.after_is => self.here.nots += 1,
                Keyword::INTERVAL => self.here.signs += 1,
                _ => self.here.signs = 0,
            },
        }
        self.after_word = matches!(token, Token::Word(_));
        self.after_is = keyword == Keyword::IS;
    }
}

/// Full-width signs, Chinese punctuation and curly quotes: what an input method writes by mistake.
fn is_typographic(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{2018}'..='\u{201f}' | '\u{3000}'..='\u{3002}' | '\u{200b}'..='\u{200f}' | '\u{a0}' | '\u{feff}')
}

fn stray(c: char, place: Place) -> ExpressionError {
    let error = ExpressionError::syntax(
        format!("the character \"{c}\" has no meaning outside quotes"),
        format!("引号之外不能出现“{c}”"),
        place,
    );
    match c {
        '\u{ff08}' | '\u{ff09}' => error.hint("write half-width parentheses ( ) / 请改用半角括号"),
        '\u{ff0c}' | '\u{3001}' => error.hint("write a half-width comma , / 请改用半角逗号"),
        '\u{2018}'..='\u{201f}' => error.hint("write straight quotes 'text' / 请改用半角单引号"),
        '\u{ff1d}' | '\u{ff1e}' | '\u{ff1c}' => error.hint("write half-width signs = > < / 请改用半角符号"),
        '\u{3000}' | '\u{a0}' => error.hint("write a half-width space / 请改用半角空格"),
        _ => error,
    }
}

fn parser_error(error: &ParserError, source: &Source, last: Option<Span>) -> ExpressionError {
    match error {
        ParserError::RecursionLimitExceeded => too_deep(None),
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let (what, place) = match text.rsplit_once(" at Line: ") {
                Some((what, at)) => (
                    what,
                    at.split_once(", Column: ").and_then(|(line, column)| {
                        let location =
                            Location { line: line.trim().parse().ok()?, column: column.trim().parse().ok()? };
                        source.offset(location).map(|start| (start, 1))
                    }),
                ),
                None => (text.as_str(), None),
            };
            let place = place.or_else(|| last.and_then(|span| source.place(span)));
            let (en, zh) = plainly(what);
            ExpressionError::syntax(en, zh, place)
        }
    }
}

/// What the parser expected, in plain English and Chinese.
fn plainly(what: &str) -> (String, String) {
    let Some((expected, found)) = what.strip_prefix("Expected: ").and_then(|rest| rest.split_once(", found: ")) else {
        return (what.to_owned(), format!("语法错误:{what}"));
    };
    let (en, zh) = match expected {
        "an expression" => ("a value or condition", "值或条件"),
        "end of statement" => ("the end of the expression", "表达式的结尾"),
        other => (other, other),
    };
    match found {
        "EOF" => (format!("{en} should follow, but here is the end"), format!("表达式不完整,后面应有{zh}")),
        found => (format!("{en} should stand here, not \"{found}\""), format!("此处应为{zh},却是“{found}”")),
    }
}
