//! The call that a page tells of.

use crate::event::{Event, client, principal, time};

/// Characters of a text from an event that a page shows.
const SHOWN_CHARACTERS: usize = 256;

/// What a page tells of the call by which a caller was found. The texts are hostile until [`plain`] shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Event time, in seconds since 1970.
    pub time_s: i64,
    /// `eventID`.
    pub event_id: String,
    /// `eventSource`.
    pub event_source: String,
    /// `eventName`.
    pub event_name: String,
    /// `awsRegion`.
    pub aws_region: String,
    /// The S3 bucket.
    pub bucket: String,
    /// The session of an assumed role.
    pub session: String,
    /// The whole user agent.
    pub user_agent: String,
    /// `sourceIPAddress`.
    pub source_ip: String,
    /// The id of the access key.
    pub key_id: String,
    /// The call came through a presigned link: client and IP are those of whoever opened it.
    pub is_presigned: bool,
}

impl Sighting {
    /// Of this call.
    pub fn of(event: &Event<'_>, time_s: i64) -> Self {
        let own = |text: Option<&str>| cut(text.unwrap_or_default()).to_owned();
        Self {
            time_s,
            event_id: own(event.id),
            event_source: own(event.source),
            event_name: own(event.name),
            aws_region: own(event.region),
            bucket: own(event.bucket()),
            session: own(principal::session(&event.identity)),
            user_agent: own(event.user_agent),
            source_ip: own(event.source_ip),
            key_id: own(event.identity.access_key_id),
            is_presigned: event.is_presigned,
        }
    }

    /// Name and version of the client.
    pub fn client(&self) -> Option<client::Client<'_>> {
        client::client(&self.user_agent)
    }

    /// Event time as people read it.
    pub fn time(&self) -> String {
        time::format(self.time_s)
    }
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(SHOWN_CHARACTERS).map_or(text, |(end, _)| &text[..end])
}

/// A text from an event for people: no control characters, and nothing by which mail and chat programs make links, tags
/// or mentions.
pub fn plain(text: &str) -> String {
    let mut before = ' ';
    let replaced = |c: char| {
        let begins_word = before.is_whitespace();
        before = c;
        match c {
            '<' => '‹',
            '>' => '›',
            '[' => '(',
            ']' => ')',
            '`' => '\'',
            '*' => '∗',
            '@' if begins_word => '＠',
            c if c.is_control() || is_invisible(c) => '\u{fffd}',
            c => c,
        }
    };
    cut(text).chars().map(replaced).collect()
}

/// Marks that turn the direction of writing or end a line, and spaces without width.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}
