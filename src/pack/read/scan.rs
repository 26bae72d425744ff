//! The look of a file, before its meaning: what an ordinary editor lets slip into YAML.
//!
//! In: a text. Out: slips with their place in characters and, where there is one obvious remedy, the edit that mends
//! them. Comments, quoted texts and block texts are left alone: there everything is allowed.
//! Not here: the tree (`tree`), which reports what the YAML parser itself refuses.

use std::ops::Range;

/// A slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// Stable code.
    pub(super) code: &'static str,
    /// Characters of the text.
    pub(super) at: Range<usize>,
    /// English.
    pub(super) message: String,
    /// 中文
    pub(super) message_zh: String,
    /// What to do.
    pub(super) hint: Option<String>,
    /// What `--fix` puts there.
    pub(super) edit: Option<Edit>,
}

impl Slip {
    /// True when the tree of the file can be trusted all the same.
    pub(super) fn tree_stands(&self) -> bool {
        matches!(self.code, "unquoted" | "hash" | "indent" | "line-end")
    }
}

/// Replaces characters of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    /// What goes.
    pub(super) at: Range<usize>,
    /// What comes.
    pub(super) text: String,
}

/// Flow lists and maps nested deeper than this are refused before the parser sees them; rules need 6.
const DEEPEST: usize = 32;

/// Looks through a text.
pub(super) fn scan(text: &str) -> Vec<Slip> {
    let chars: Vec<char> = text.chars().collect();
    let mut scanner = Scanner { chars: &chars, slips: Vec::new(), flow: 0, open: None, block: None, began: false };
    scanner.whole();
    let mut start = 0;
    while start < chars.len() {
        let end = chars[start..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| start + n);
        scanner.line(start, end);
        start = end + 1;
    }
    scanner.slips.sort_by_key(|s| (s.at.start, s.at.end));
    scanner.slips
}

/// The ASCII twin of a full-width character.
fn twin(c: char) -> Option<&'static str> {
    const TWINS: &[(char, &str)] = &[
        ('：', ":"),
        ('，', ","),
        ('、', ","),
        ('（', "("),
        ('）', ")"),
        ('“', "\""),
        ('”', "\""),
        ('‘', "'"),
        ('’', "'"),
        ('【', "["),
        ('】', "]"),
        ('［', "["),
        ('］', "]"),
        ('｛', "{"),
        ('｝', "}"),
        ('。', "."),
        ('．', "."),
        ('；', ";"),
        ('！', "!"),
        ('？', "?"),
        ('＃', "#"),
        ('％', "%"),
        ('＆', "&"),
        ('＊', "*"),
        ('＋', "+"),
        ('－', "-"),
        ('—', "-"),
        ('／', "/"),
        ('＜', "<"),
        ('＝', "="),
        ('＞', ">"),
        ('＿', "_"),
        ('｜', "|"),
        ('～', "~"),
        ('＂', "\""),
        ('＇', "'"),
        ('０', "0"),
        ('１', "1"),
        ('２', "2"),
        ('３', "3"),
        ('４', "4"),
        ('５', "5"),
        ('６', "6"),
        ('７', "7"),
        ('８', "8"),
        ('９', "9"),
    ];
    TWINS.iter().find(|(wide, _)| *wide == c).map(|(_, ascii)| *ascii)
}

/// Chinese characters, as far as officials type them.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

/// The text in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

struct Scanner<'a> {
    chars: &'a [char],
    slips: Vec<Slip>,
    /// Open flow brackets.
    flow: usize,
    /// The quote that the last line left open.
    open: Option<char>,
    /// The indentation above which lines belong to a block text.
    block: Option<usize>,
    /// True once there was content.
    began: bool,
}

impl Scanner<'_> {
    fn slip(&mut self, code: &'static str, at: Range<usize>, words: (&str, &str), edit: Option<&str>) -> &mut Slip {
        let edit = edit.map(|text| Edit { at: at.clone(), text: text.to_owned() });
        let hint = edit.as_ref().map(|_| "forewarn check --fix mends it / 可用 --fix 修正".to_owned());
        let (message, message_zh) = (words.0.to_owned(), words.1.to_owned());
        self.slips.push(Slip { code, at, message, message_zh, hint, edit });
        self.slips.last_mut().expect("one was pushed")
    }

    /// What is told once a file.
    fn whole(&mut self) {
        if self.chars.first() == Some(&'\u{feff}') {
            self.slip(
                "byte-order-mark",
                0..1,
                ("the file begins with a byte order mark", "文件开头有字节顺序标记"),
                Some(""),
            );
        }
        let returns: Vec<usize> = (0..self.chars.len()).filter(|i| self.chars[*i] == '\r').collect();
        if let Some(first) = returns.first() {
            self.slip("line-end", *first..first + 1, ("lines end with CR", "换行应为 LF,不应有 CR"), Some(""));
        }
    }

    fn get(&self, i: usize) -> Option<char> {
        self.chars.get(i).copied()
    }

    fn line(&mut self, start: usize, end: usize) {
        let mut i = start;
        if i == 0 && self.get(0) == Some('\u{feff}') {
            i = 1;
        }
        let content = (i..end).find(|n| !matches!(self.chars[*n], ' ' | '\t' | '\r' | '\u{3000}'));
        if let Some(parent) = self.block {
            let indent = (i..end).take_while(|n| self.chars[*n] == ' ').count();
            match content {
                None => return,
                Some(_) if indent > parent => return,
                Some(_) => self.block = None,
            }
        }
        if let Some(quote) = self.open.take() {
            match self.closing(i, end, quote) {
                Some(after) => i = after,
                None => return,
            }
            self.tokens(i, start, end, false);
            return;
        }
        let Some(content) = content else { return };
        self.indentation(i, content);
        self.tokens(content, start, end, true);
    }

    fn indentation(&mut self, start: usize, content: usize) {
        let mut spaces = 0;
        for i in start..content {
            match self.chars[i] {
                '\t' => {
                    self.slip("tab", i..i + 1, ("a tab in the indentation", "缩进中有制表符"), Some("  "));
                }
                '\u{3000}' => {
                    let words = ("a full-width space (U+3000) in the indentation", "缩进中有全角空格(U+3000)");
                    self.slip("wide-space", i..i + 1, words, Some("  "));
                }
                _ => spaces += 1,
            }
        }
        let odd = spaces % 2 == 1 && spaces == content - start;
        if odd && self.flow == 0 && self.chars[content] != '#' {
            self.slip("indent", start..content, ("indentation goes by 2 spaces", "缩进应为 2 个空格的倍数"), None)
                .hint = Some("add or remove one space / 增减一个空格".to_owned());
        }
    }

    /// The place after the closing quote, if it stands in this line.
    fn closing(&mut self, from: usize, end: usize, quote: char) -> Option<usize> {
        let mut i = from;
        while i < end {
            match self.chars[i] {
                '\\' if quote == '"' => i += 1,
                c if c == quote => {
                    if quote == '\'' && i + 1 < end && self.chars[i + 1] == '\'' {
                        i += 1;
                    } else {
                        return Some(i + 1);
                    }
                }
                _ => {}
            }
            i += 1;
        }
        self.open = Some(quote);
        None
    }

    fn tokens(&mut self, from: usize, line: usize, end: usize, fresh: bool) {
        let mut i = from;
        // Column from which a block text must be indented further.
        let mut parent = 0;
        // Nothing but dashes stood in the line so far.
        let mut at_start = fresh;
        while i < end {
            let c = self.chars[i];
            let next_blank = i + 1 >= end || is_blank(self.chars[i + 1]);
            match c {
                ' ' | '\r' | '\u{feff}' => i += 1,
                '\t' => {
                    self.slip("tab", i..i + 1, ("a tab outside quotes", "引号外有制表符"), Some(" "));
                    i += 1;
                }
                '\u{3000}' => {
                    let words = ("a full-width space (U+3000) outside quotes", "引号外有全角空格(U+3000)");
                    self.slip("wide-space", i..i + 1, words, Some(" "));
                    i += 1;
                }
                '#' => {
                    if i > line && !is_blank(self.chars[i - 1]) && self.chars[i - 1] != '\u{3000}' {
                        let words = ("a comment needs a space before its #", "注释的 # 前应有空格");
                        self.slip("hash", i..i, words, Some(" ")).at = i..i + 1;
                    }
                    return;
                }
                '"' | '\'' => match self.closing(i + 1, end, c) {
                    Some(after) => {
                        if at_start {
                            parent = i - line;
                        }
                        i = after;
                    }
                    None => return,
                },
                '[' | '{' => {
                    self.flow += 1;
                    if self.flow == DEEPEST + 1 {
                        self.slip("too-deep", i..i + 1, ("nested too deeply", "嵌套过深"), None);
                    }
                    i += 1;
                }
                ']' | '}' => {
                    self.flow = self.flow.saturating_sub(1);
                    i += 1;
                }
                ',' if self.flow > 0 => i += 1,
                ':' if next_blank || self.flow > 0 => i += 1,
                '-' if next_blank && self.flow == 0 && at_start => {
                    parent = i - line;
                    i += 1;
                    self.began = true;
                    continue;
                }
                '|' | '>' if self.flow == 0 => {
                    let body = (i..end).find(|n| self.chars[*n] == '#').unwrap_or(end);
                    let header = &self.chars[i + 1..body];
                    if header.iter().all(|c| matches!(c, '+' | '-' | '0'..='9') || is_blank(*c)) {
                        self.block = Some(parent);
                        return;
                    }
                    i = self.plain(i, end, at_start, &mut parent, line);
                }
                '&' | '*' | '!' => {
                    let (code, words) = match c {
                        '&' => ("anchor", ("anchors (&) are not used here", "不使用锚点(&)")),
                        '*' => ("alias", ("aliases (*) are not used here", "不使用别名(*)")),
                        _ => ("tag", ("tags (!) are not used here", "不使用标签(!)")),
                    };
                    let stop = (i..end)
                        .find(|n| is_blank(self.chars[*n]) || (self.flow > 0 && ",]}".contains(self.chars[*n])))
                        .unwrap_or(end);
                    self.slip(code, i..stop, words, None).hint =
                        Some("write the value out, or put the text in quotes / 直接写出内容,或加引号".to_owned());
                    i = stop;
                }
                '%' if i == line => {
                    self.slip("directive", i..end, ("directives (%) are not used here", "不使用指令(%)"), None);
                    return;
                }
                _ => {
                    let marker = i == line && end - i >= 3 && (i + 3 >= end || is_blank(self.chars[i + 3]));
                    let three: String = self.chars[i..end.min(i + 3)].iter().collect();
                    if marker && (three == "---" || three == "...") {
                        if three == "..." || self.began {
                            let words = ("one document in a file", "一个文件只能有一个文档");
                            self.slip("documents", i..i + 3, words, None);
                        }
                        i += 3;
                        self.began = true;
                        continue;
                    }
                    i = self.plain(i, end, at_start, &mut parent, line);
                }
            }
            if !is_blank(c) {
                at_start = false;
                self.began = true;
            }
        }
    }

    /// Reads unquoted text up to where YAML ends it; returns the place after it.
    fn plain(&mut self, from: usize, end: usize, at_start: bool, parent: &mut usize, line: usize) -> usize {
        let mut i = from;
        let mut is_key = false;
        while i < end {
            let c = self.chars[i];
            let ends_flow = self.flow > 0 && ",[]{}".contains(c);
            let next = if i + 1 < end { self.chars[i + 1] } else { ' ' };
            if c == ':' && (is_blank(next) || (self.flow > 0 && ",[]{}".contains(next))) {
                is_key = true;
                break;
            }
            if ends_flow || (c == '#' && i > from && is_blank(self.chars[i - 1])) {
                break;
            }
            i += 1;
        }
        let mut stop = i;
        while stop > from && is_blank(self.chars[stop - 1]) {
            stop -= 1;
        }
        if at_start && is_key {
            *parent = from - line;
        }
        self.judge(from, stop, is_key);
        i.max(from + 1)
    }

    /// Judges a run of unquoted text.
    fn judge(&mut self, from: usize, stop: usize, is_key: bool) {
        if from >= stop {
            return;
        }
        let run = &self.chars[from..stop];
        let text: String = run.iter().collect();
        if is_key && text == "<<" {
            self.slip("merge-key", from..stop, ("merge keys (<<) are not used here", "不使用合并键(<<)"), None);
            return;
        }
        if matches!(run[0], '“' | '”' | '‘' | '’' | '＂') {
            let closed = run.len() > 1 && matches!(run[run.len() - 1], '“' | '”' | '‘' | '’' | '＂' | '"');
            let inner: String = run[1..run.len() - usize::from(closed)].iter().collect();
            self.wide(from);
            let last = self.slips.last_mut().expect("wide pushes one");
            last.edit = Some(Edit { at: from..stop, text: quoted(&inner) });
            return;
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some(colon) = run.iter().position(|c| *c == '：')
            && colon > 0
            && run[..colon].iter().all(|c| word(*c) || is_blank(*c))
        {
            self.wide(from + colon);
            let rest = run[colon + 1..].iter().position(|c| !is_blank(*c)).map(|n| from + colon + 1 + n);
            let last = self.slips.last_mut().expect("wide pushes one");
            last.edit = Some(Edit {
                at: from + colon..rest.unwrap_or(stop),
                text: if rest.is_some() { ": ".to_owned() } else { ":".to_owned() },
            });
            if let Some(rest) = rest.filter(|r| self.chars[*r] != '"') {
                self.judge(rest, stop, false);
            }
            return;
        }
        if self.flow > 0
            && let Some(comma) = run.iter().position(|c| *c == '，')
        {
            self.wide(from + comma);
            let rest = run[comma + 1..].iter().position(|c| !is_blank(*c)).map(|n| from + comma + 1 + n);
            let last = self.slips.last_mut().expect("wide pushes one");
            last.edit = Some(Edit { at: from + comma..rest.unwrap_or(stop), text: ", ".to_owned() });
            self.judge(from, from + comma, is_key);
            if let Some(rest) = rest.filter(|r| self.chars[*r] != '"') {
                self.judge(rest, stop, is_key);
            }
            return;
        }
        if !is_key && run.iter().any(|c| is_chinese(*c)) {
            let words = ("free text stands in double quotes", "文字应放在双引号中");
            self.slip("unquoted", from..stop, words, Some(&quoted(&text)));
            return;
        }
        for i in from..stop {
            let c = self.chars[i];
            if c == '\u{3000}' {
                let words = ("a full-width space (U+3000) outside quotes", "引号外有全角空格(U+3000)");
                self.slip("wide-space", i..i + 1, words, Some(" "));
            } else if c == '\t' {
                self.slip("tab", i..i + 1, ("a tab outside quotes", "引号外有制表符"), Some(" "));
            } else if twin(c).is_some() {
                self.wide(i);
            } else if c == '#' && i > from {
                let words = ("a # glued to unquoted text", "未加引号的文字中有 #");
                self.slip("hash", i..i + 1, words, None).hint =
                    Some("put the text in quotes, or a space before the comment / 加引号,或在注释前加空格".to_owned());
            }
        }
    }

    /// A full-width character at a place.
    fn wide(&mut self, i: usize) {
        let c = self.chars[i];
        let ascii = twin(c).unwrap_or("\"");
        let message = format!("full-width \"{c}\" outside quotes; write {ascii}");
        let message_zh = format!("引号外有全角字符“{c}”,应写作 {ascii}");
        self.slip("full-width", i..i + 1, (&message, &message_zh), Some(ascii));
    }
}
