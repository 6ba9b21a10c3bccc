//! Frames on the wire (SPDY/3.1, section 2.2), and how long each may be.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::headers::{Headers, LONGEST_BLOCK, Packer, Unpacker};

const VERSION: u16 = 3;
const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const SETTINGS: u16 = 4;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;
const WINDOW_UPDATE: u16 = 9;
const FIN: u8 = 1;
/// Bytes before what a frame holds.
const HEAD: usize = 8;
/// Bytes of data that are handed on in one piece; a longer frame comes in several.
pub const PIECE: usize = 32 << 10;

/// One frame, or a piece of one that holds data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A stream begins; `fin`: the other half of it will not be.
    Open {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    Reply {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    Reset {
        stream: u32,
        status: u32,
    },
    Settings,
    Ping(u32),
    GoAway {
        last: u32,
        status: u32,
    },
    Headers {
        stream: u32,
        fin: bool,
        headers: Headers,
    },
    Window {
        stream: u32,
        delta: u32,
    },
    Data {
        stream: u32,
        fin: bool,
        data: Bytes,
    },
}

/// Both ways of one connection. After an error there is nothing more to read.
#[derive(Default)]
pub struct Codec {
    packer: Packer,
    unpacker: Unpacker,
    /// Of a frame of data that has begun: its stream, whether it is the last, and how many bytes are to come.
    data: Option<(u32, bool, usize)>,
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Frame>> {
        loop {
            if let Some((stream, fin, left)) = self.data {
                return Ok(self.piece(from, stream, fin, left));
            }
            let Some(head) = from.first_chunk::<HEAD>() else { return Ok(None) };
            let (kind, stream) = (u16::from_be_bytes([head[2], head[3]]), number(&head[..4]));
            let (flags, length) = (head[4], number(&head[4..]) as usize & 0x00ff_ffff);
            if head[0] & 0x80 == 0 {
                from.advance(HEAD);
                self.data = Some((stream, flags & FIN != 0, length));
                continue;
            }
            if u16::from_be_bytes([head[0] & 0x7f, head[1]]) != VERSION {
                return Err(malformed("a frame of another version"));
            }
            if length > LONGEST_BLOCK {
                return Err(malformed("a frame that is too long"));
            }
            if from.len() < HEAD + length {
                from.reserve(HEAD + length - from.len());
                return Ok(None);
            }
            from.advance(HEAD);
            let held = from.split_to(length).freeze();
            // What is not known is not minded.
            if let Some(frame) = self.control(kind, flags & FIN != 0, held)? {
                return Ok(Some(frame));
            }
        }
    }
}

impl Codec {
    /// What is there of a frame of data; its end alone says that it is the last of the stream.
    fn piece(&mut self, from: &mut BytesMut, stream: u32, fin: bool, left: usize) -> Option<Frame> {
        if from.is_empty() && left > 0 {
            return None;
        }
        let data = from.split_to(left.min(from.len()).min(PIECE)).freeze();
        let left = left - data.len();
        self.data = (left > 0).then_some((stream, fin, left));
        Some(Frame::Data { stream, fin: fin && left == 0, data })
    }

    fn control(&mut self, kind: u16, fin: bool, held: Bytes) -> io::Result<Option<Frame>> {
        let two = || match held.first_chunk::<8>() {
            Some(two) => Ok((number(&two[..4]), number(&two[4..]))),
            None => Err(malformed("a frame that is too short")),
        };
        let stream = |at: usize| match held.get(..at) {
            Some(head) => Ok(number(head) & 0x7fff_ffff),
            None => Err(malformed("a frame that is too short")),
        };
        Ok(Some(match kind {
            SYN_STREAM => {
                let stream = stream(10)?;
                Frame::Open { stream, fin, headers: self.unpacker.unpack(&held[10..]).map_err(malformed)? }
            }
            SYN_REPLY => {
                let stream = stream(4)?;
                Frame::Reply { stream, fin, headers: self.unpacker.unpack(&held[4..]).map_err(malformed)? }
            }
            HEADERS => {
                let stream = stream(4)?;
                Frame::Headers { stream, fin, headers: self.unpacker.unpack(&held[4..]).map_err(malformed)? }
            }
            RST_STREAM => two().map(|(stream, status)| Frame::Reset { stream, status })?,
            GOAWAY => two().map(|(last, status)| Frame::GoAway { last, status })?,
            WINDOW_UPDATE => two().map(|(stream, delta)| Frame::Window { stream, delta })?,
            PING => Frame::Ping(held.first_chunk::<4>().map(|id| number(id)).ok_or_else(|| malformed("a short ping"))?),
            SETTINGS => Frame::Settings,
            _ => return Ok(None),
        }))
    }

    fn block(&mut self, kind: u16, fin: bool, before: &[u8], headers: &Headers, to: &mut BytesMut) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let block = self.packer.pack(&headers);
        control(kind, fin, before.len() + block.len(), to);
        to.put_slice(before);
        to.put_slice(&block);
    }
}

impl Encoder<Frame> for Codec {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, to: &mut BytesMut) -> io::Result<()> {
        match frame {
            Frame::Data { stream, fin, data } => {
                let length = u32::try_from(data.len()).ok().filter(|length| *length < 1 << 24);
                let length = length.ok_or_else(|| malformed("a frame that is too long"))?;
                to.put_u32(stream);
                to.put_u32(u32::from(fin) << 24 | length);
                to.put_slice(&data);
            }
            Frame::Open { stream, fin, headers } => {
                let mut before = [0; 10];
                before[..4].copy_from_slice(&stream.to_be_bytes());
                self.block(SYN_STREAM, fin, &before, &headers, to);
            }
            Frame::Reply { stream, fin, headers } => self.block(SYN_REPLY, fin, &stream.to_be_bytes(), &headers, to),
            Frame::Headers { stream, fin, headers } => self.block(HEADERS, fin, &stream.to_be_bytes(), &headers, to),
            Frame::Reset { stream: first, status: second } => pair(RST_STREAM, first, second, to),
            Frame::GoAway { last: first, status: second } => pair(GOAWAY, first, second, to),
            Frame::Window { stream: first, delta: second } => pair(WINDOW_UPDATE, first, second, to),
            Frame::Ping(id) => {
                control(PING, false, 4, to);
                to.put_u32(id);
            }
            Frame::Settings => {
                control(SETTINGS, false, 4, to);
                to.put_u32(0);
            }
        }
        Ok(())
    }
}

fn pair(kind: u16, first: u32, second: u32, to: &mut BytesMut) {
    control(kind, false, 8, to);
    to.put_u32(first);
    to.put_u32(second);
}

fn control(kind: u16, fin: bool, length: usize, to: &mut BytesMut) {
    to.put_u16(0x8000 | VERSION);
    to.put_u16(kind);
    to.put_u32(u32::from(fin) << 24 | length as u32);
}

/// The first four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

fn malformed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("SPDY: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers() -> impl Strategy<Value = Headers> {
        prop::collection::vec(("[a-z-]{1,12}", "\\PC{0,40}"), 0..5)
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let stream = 1_u32..0x7fff_ffff;
        prop_oneof![
            (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::Open {
                stream,
                fin,
                headers
            }),
            (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::Reply {
                stream,
                fin,
                headers
            }),
            (stream.clone(), any::<bool>(), headers()).prop_map(|(stream, fin, headers)| Frame::Headers {
                stream,
                fin,
                headers
            }),
            (stream.clone(), any::<u32>()).prop_map(|(stream, status)| Frame::Reset { stream, status }),
            (stream.clone(), any::<u32>()).prop_map(|(last, status)| Frame::GoAway { last, status }),
            (stream.clone(), any::<u32>()).prop_map(|(stream, delta)| Frame::Window { stream, delta }),
            any::<u32>().prop_map(Frame::Ping),
            Just(Frame::Settings),
            (stream, any::<bool>(), prop::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(stream, fin, data)| Frame::Data { stream, fin, data: data.into() }),
        ]
    }

    /// Everything that comes of bytes which arrive in pieces of this size.
    fn read(bytes: &[u8], piece: usize) -> io::Result<Vec<Frame>> {
        let (mut codec, mut buffer, mut frames) = (Codec::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            while let Some(frame) = codec.decode(&mut buffer)? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// Data of one stream that came one after another.
    fn joined(frames: Vec<Frame>) -> Vec<Frame> {
        let mut whole: Vec<Frame> = Vec::new();
        for frame in frames {
            match (whole.last_mut(), &frame) {
                (
                    Some(Frame::Data { stream: before, fin: ended @ false, data: all }),
                    Frame::Data { stream, fin, data },
                ) if before == stream => {
                    *all = [all.as_ref(), data.as_ref()].concat().into();
                    *ended = *fin;
                }
                _ => whole.push(frame),
            }
        }
        whole
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(given in prop::collection::vec(frames(), 1..12), piece in 1_usize..64) {
            let (mut codec, mut wire) = (Codec::default(), BytesMut::new());
            for frame in &given {
                codec.encode(frame.clone(), &mut wire).expect("fits");
            }
            prop_assert_eq!(joined(read(&wire, piece).expect("frames")), joined(given));
        }

        #[test]
        fn anything_ends_in_frames_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes, 37);
        }
    }

    #[test]
    fn a_long_frame_of_data_comes_in_pieces() {
        let (mut codec, mut wire) = (Codec::default(), BytesMut::new());
        let data = Bytes::from(vec![7; 3 * PIECE + 1]);
        codec.encode(Frame::Data { stream: 5, fin: true, data }, &mut wire).expect("fits");
        let frames = read(&wire, usize::MAX).expect("frames");
        let shown = frames.iter().map(|frame| match frame {
            Frame::Data { stream: 5, fin, data } => (data.len(), *fin),
            other => panic!("{other:?}"),
        });
        let shown = shown.collect::<Vec<_>>();
        assert_eq!(shown, [(PIECE, false), (PIECE, false), (PIECE, false), (1, true)]);
    }

    #[test]
    fn a_malicious_peer_cannot_have_much_kept() {
        // A header block of 16 MiB is refused by its length alone.
        let head = [0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff];
        assert_eq!(read(&head, 8).expect_err("too long").to_string(), "SPDY: a frame that is too long");
        // So is another protocol, and a frame without what it must have.
        assert!(read(b"\x80\x02\0\x06\0\0\0\x04\0\0\0\0", 99).is_err());
        assert!(read(b"\x80\x03\0\x07\0\0\0\x02\0\0", 99).is_err());
        assert!(read(b"\x80\x03\0\x01\0\0\0\x02\0\0", 99).is_err());
        // What is not known is passed by.
        assert_eq!(
            read(b"\x80\x03\0\x63\0\0\0\x01\0\x80\x03\0\x06\0\0\0\x04\0\0\0\x09", 3).expect("one"),
            [Frame::Ping(9)]
        );
    }
}
