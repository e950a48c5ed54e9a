//! A line's fields.
//!
//! Request, referer and user agent are whatever the caller sent, quotes included, and stand between fields that S3 wrote.
//! Those behind are therefore taken from behind the line's last quote: nobody signs with another version by
//! saying so in a user agent.

/// Fields of one request; none for `-`, and for those that a log from before they were added does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// The bucket.
    pub bucket: Option<&'a str>,
    /// Such as `06/Feb/2019:00:00:38 +0000`.
    pub time: &'a str,
    /// Where the request came from.
    pub remote_ip: Option<&'a str>,
    /// An ARN, a canonical user id, or a service.
    pub requester: Option<&'a str>,
    /// The request's id.
    pub request_id: Option<&'a str>,
    /// Such as `REST.GET.OBJECT`.
    pub operation: Option<&'a str>,
    /// The object's key, percent-encoded.
    pub key: Option<&'a str>,
    /// Method, path and query as they were sent.
    pub request: Option<&'a str>,
    /// The answer's HTTP status.
    pub status: Option<&'a str>,
    /// Such as `NoSuchKey`.
    pub error_code: Option<&'a str>,
    /// As the caller wrote it.
    pub user_agent: Option<&'a str>,
    /// The object's version.
    pub version_id: Option<&'a str>,
    /// `x-amz-id-2`.
    pub host_id: Option<&'a str>,
    /// `SigV2` or `SigV4`.
    pub signature: Option<&'a str>,
    /// The cipher suite.
    pub cipher: Option<&'a str>,
    /// `AuthHeader` or `QueryString`.
    pub authentication: Option<&'a str>,
    /// The host that was called.
    pub host: Option<&'a str>,
    /// Such as `TLSv1.2`.
    pub tls: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Takes a line apart; none if it is not one.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut rest = Rest(line.trim_end());
        let (_owner, bucket) = (rest.word()?, rest.word()?);
        let time = rest.bracketed()?;
        let [remote_ip, requester, request_id, operation, key] = rest.words()?;
        let (request, answer, user_agent, behind) = requests(rest.0).find_map(|(request, rest)| {
            let mut rest = Rest(rest);
            let answer: [_; 6] = rest.words()?;
            let user_agent = rest.user_agent()?;
            Some((request, answer, user_agent, rest.0))
        })?;
        let [status, error_code, ..] = answer;
        let mut behind = behind.split(' ').filter(|word| !word.is_empty()).map(said);
        let mut next = || behind.next().flatten();
        Some(Self {
            bucket: said(bucket),
            time,
            remote_ip,
            requester,
            request_id,
            operation,
            key,
            request,
            status,
            error_code,
            user_agent,
            version_id: next(),
            host_id: next(),
            signature: next(),
            cipher: next(),
            authentication: next(),
            host: next(),
            tls: next(),
        })
    }
}

/// A field that says something.
fn said(field: &str) -> Option<&str> {
    Some(field).filter(|field| !field.is_empty() && *field != "-")
}

/// The request and what stands behind it: it ends with a quote behind which a status stands. One that has such a quote
/// within it may end at any of them.
fn requests(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    let is_status = |rest: &str| {
        let status = rest.split(' ').next().unwrap_or_default();
        status == "-" || (status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let quoted = text.strip_prefix('"');
    let bare = if quoted.is_none() { text.split_once(' ') } else { None };
    let ends =
        quoted.into_iter().flat_map(|quoted| quoted.match_indices("\" ").map(move |(at, _)| (quoted, at)));
    let of_quoted = ends.map(|(quoted, at)| (&quoted[..at], &quoted[at + 2..]));
    of_quoted
        .filter(move |(_, rest)| is_status(rest))
        .chain(bare)
        .map(|(request, rest)| (said(request), rest))
}

/// What of a line is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    /// Up to a space.
    fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ')?;
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    fn words<const N: usize>(&mut self) -> Option<[Option<&'a str>; N]> {
        let mut words = [None; N];
        for word in &mut words {
            *word = said(self.word()?);
        }
        Some(words)
    }

    fn bracketed(&mut self) -> Option<&'a str> {
        let (inside, rest) = self.0.strip_prefix('[')?.split_once("] ")?;
        self.0 = rest;
        Some(inside)
    }

    /// Referer and user agent; returns the latter.
    fn user_agent(&mut self) -> Option<Option<&'a str>> {
        let Some(last) = self.0.rfind('"') else {
            let _referer = self.word()?;
            return self.last_word().map(said);
        };
        let (quoted, behind) = (&self.0[..last], self.0[last + 1..].trim_start());
        self.0 = behind;
        if let Some(both) = quoted.strip_prefix('"') {
            return match both.split_once("\" \"") {
                Some((_referer, user_agent)) => Some(said(user_agent)),
                // Only the referer has quotes.
                None => self.last_word().map(said),
            };
        }
        // Only the user agent has.
        let (_referer, user_agent) = quoted.split_once(" \"")?;
        Some(said(user_agent))
    }

    /// Up to a space or the end.
    fn last_word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }
}
