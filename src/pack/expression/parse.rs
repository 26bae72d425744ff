//! From text to one syntax tree, within limits that are checked before the parser runs.
//!
//! In: the text of an expression. Out: one tree and nothing after it, or the first thing wrong, with its place.
//! Promised: no text takes long or exhausts a stack of 2 MB. The parser and everything after it recurse, so length,
//! tokens and nesting are counted on the token list first.
//! Not here: which parts of SQL are allowed (`lower`).

use super::error::{ExpressionError, Place};
use datafusion_sql::sqlparser::ast::Expr;
use datafusion_sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::{Parser, ParserError};
use datafusion_sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer, Whitespace};

/// Bytes of an expression. The longest in the shipped packs has a few hundred.
const TEXT_MAX: usize = 8 * 1024;
/// Tokens, white space not counted.
const TOKENS_MAX: usize = 500;
/// Parentheses, CASE and prefix operators inside each other.
const DEPTH_MAX: usize = 32;
/// The parser's own guard; above `DEPTH_MAX` because a level of ours may be two of its.
const PARSER_DEPTH: usize = 80;

/// A text and where its lines begin, to turn the parser's line and column into a character offset.
pub(super) struct Source {
    line_starts: Vec<usize>,
}

impl Source {
    fn new(text: &str) -> Source {
        let breaks = text.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(i, _)| i + 1);
        Source { line_starts: std::iter::once(0).chain(breaks).collect() }
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
    let source = Source::new(text);
    let mut tokens = Vec::new();
    let tokenized = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location_into_buf(&mut tokens);
    if let Err(e) = tokenized {
        let at = source.offset(e.location).map(|start| (start, 1));
        return Err(ExpressionError::syntax(e.message.clone(), format!("无法识别:{}", e.message), at));
    }
    check_tokens(&tokens, &source)?;
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
    let mut open: usize = 0;
    // Prefix operators nest without parentheses: - - - 1, NOT NOT NOT x.
    let mut prefixes: usize = 0;
    for t in tokens {
        match &t.token {
            Token::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
                return Err(ExpressionError::syntax(
                    "comments are not allowed inside an expression",
                    "表达式中不能写注释",
                    source.place(t.span),
                )
                .hint("write the comment in the YAML file with # / 注释请写在 YAML 中"));
            }
            token if is_space(token) => continue,
            Token::Char(c) => return Err(stray(*c, source.place(t.span))),
            Token::LParen | Token::LBracket | Token::LBrace => {
                open += 1;
                prefixes = 0;
            }
            Token::RParen | Token::RBracket | Token::RBrace => open = open.saturating_sub(1),
            Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::CASE => open += 1,
            Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::END => open = open.saturating_sub(1),
            Token::Word(w) if w.quote_style.is_none() && w.keyword == Keyword::NOT => prefixes += 1,
            Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark | Token::AtSign => prefixes += 1,
            _ => prefixes = 0,
        }
        if open + prefixes > DEPTH_MAX {
            let en = format!("the expression is nested more than {DEPTH_MAX} deep");
            let zh = format!("表达式嵌套超过 {DEPTH_MAX} 层");
            return Err(ExpressionError::limit(en, zh, source.place(t.span)));
        }
    }
    Ok(())
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
        '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' => {
            error.hint("write straight quotes 'text' / 请改用半角单引号")
        }
        '\u{ff1d}' | '\u{ff1e}' | '\u{ff1c}' => error.hint("write half-width signs = > < / 请改用半角符号"),
        '\u{3000}' => error.hint("write a half-width space / 请改用半角空格"),
        _ => error,
    }
}

fn parser_error(error: &ParserError, source: &Source, last: Option<Span>) -> ExpressionError {
    match error {
        ParserError::RecursionLimitExceeded => ExpressionError::limit(
            format!("the expression is nested more than {DEPTH_MAX} deep"),
            format!("表达式嵌套超过 {DEPTH_MAX} 层"),
            None,
        ),
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
            ExpressionError::syntax(what, format!("语法错误:{what}"), place)
        }
    }
}
