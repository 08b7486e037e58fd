//! Four-letter words (`FourLetterCommands`).

use nom::Parser;
use nom::branch::alt;
use nom::bytes::streaming::tag;
use nom::combinator::value;

const TELNET_CLOSE: [u8; 4] = [0xff, 0xf4, 0xff, 0xfd];

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// An operator's command: four letters where a frame's length would be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FourLetterWord {
            $($(#[$doc])* $name,)*
            /// What telnet sends as it closes: no letters, and nothing is asked.
            TelnetClose,
        }

        impl FourLetterWord {
            /// Every word that has letters.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The four letters, or what Java calls the word that has none.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::TelnetClose => "telnet close",
                }
            }

            fn parse(input: &[u8]) -> nom::IResult<&[u8], Self> {
                let words = [
                    $(value(Self::$name, tag($text.as_bytes())),)*
                    value(Self::TelnetClose, tag(&TELNET_CLOSE[..])),
                ];
                let mut words = words;
                alt(words.as_mut_slice()).parse(input)
            }
        }
    };
}

words! {
    /// Configuration.
    Conf = "conf",
    /// Connections in full.
    Cons = "cons",
    /// Resets the connections' counters.
    Crst = "crst",
    /// Sizes of the data folders.
    Dirs = "dirs",
    /// Sessions, ephemeral znodes, connections.
    Dump = "dump",
    /// The process's environment.
    Envi = "envi",
    /// Trace mask.
    Gtmk = "gtmk",
    /// Recent digests.
    Hash = "hash",
    /// Read-only or not.
    Isro = "isro",
    /// Metrics.
    Mntr = "mntr",
    /// Alive.
    Ruok = "ruok",
    /// Sets the trace mask; eight more bytes follow.
    Stmk = "stmk",
    /// Resets the server's counters.
    Srst = "srst",
    /// The server in short.
    Srvr = "srvr",
    /// The server and its connections.
    Stat = "stat",
    /// Watches by session.
    Wchc = "wchc",
    /// Watches by path.
    Wchp = "wchp",
    /// Watches in numbers.
    Wchs = "wchs",
}

impl FourLetterWord {
    /// The word that a connection opens with, if it does. `None` also when fewer than four bytes are there.
    pub fn read(input: &[u8]) -> Option<Self> {
        Self::parse(input).ok().map(|(_, word)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_by_their_letters() {
        for word in FourLetterWord::ALL {
            assert_eq!(FourLetterWord::read(word.text().as_bytes()), Some(*word));
        }
        assert_eq!(FourLetterWord::read(b"\xff\xf4\xff\xfd\x06"), Some(FourLetterWord::TelnetClose));
        assert_eq!(FourLetterWord::read(b"ruo"), None);
        assert_eq!(FourLetterWord::read(&[0, 0, 0, 45]), None);
    }
}
