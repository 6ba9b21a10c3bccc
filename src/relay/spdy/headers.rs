//! Header blocks: names and values, packed with zlib over the whole life of a connection, one state each way.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// What both sides know before the first block (SPDY/3.1, 2.6.10.1), and its Adler-32 by which zlib names it.
const DICTIONARY: &[u8] = include_bytes!("dictionary.bin");
const DICTIONARY_ID: u32 = 0xe3c6_a7c2;
/// Deflate with the largest window, and a dictionary.
const ZLIB_HEAD: [u8; 2] = [0x78, 0xbb];
/// Bytes that deflate looks back at most.
const WINDOW: usize = 32 << 10;
/// Bytes of a block when it is unpacked, and how many headers it has.
pub const LONGEST_BLOCK: usize = 64 << 10;
const MOST_HEADERS: usize = 128;
/// What a stored block may hold.
const STORED: usize = u16::MAX as usize;

/// Names in lower case, and values; one name's several values have a NUL between them.
pub type Headers = Vec<(String, String)>;

/// Writes blocks. They are stored and not squeezed: they are few and short.
#[derive(Default)]
pub struct Packer {
    begun: bool,
}

impl Packer {
    /// The block's bytes. Headers are the caller's own: they fit.
    pub fn pack(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut plain = Vec::new();
        let count =
            |plain: &mut Vec<u8>, n: usize| plain.extend_from_slice(&u32::try_from(n).unwrap_or(0).to_be_bytes());
        count(&mut plain, headers.len());
        for (name, value) in headers {
            for text in [name, value] {
                count(&mut plain, text.len());
                plain.extend_from_slice(text.as_bytes());
            }
        }
        assert!(plain.len() <= STORED, "headers of one stored block");
        let mut out = Vec::new();
        if !std::mem::replace(&mut self.begun, true) {
            out.extend_from_slice(&ZLIB_HEAD);
            out.extend_from_slice(&DICTIONARY_ID.to_be_bytes());
        }
        stored(&mut out, &plain);
        // An empty block brings all that is before it to light.
        stored(&mut out, &[]);
        out
    }
}

fn stored(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u16;
    out.push(0);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads blocks.
pub struct Unpacker {
    begun: bool,
    state: Box<DecompressorOxide>,
    /// What has come last, the dictionary first: it is written round and round.
    window: Box<[u8]>,
    at: usize,
}

impl Default for Unpacker {
    fn default() -> Self {
        let mut window = vec![0; WINDOW].into_boxed_slice();
        window[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
        Self { begun: false, state: Box::default(), window, at: DICTIONARY.len() }
    }
}

impl Unpacker {
    /// Fails for what is no block, and for one that is too long; then there is no next one.
    pub fn unpack(&mut self, block: &[u8]) -> Result<Headers, &'static str> {
        let mut packed = block;
        if !std::mem::replace(&mut self.begun, true) {
            packed = zlib_head(block)?;
        }
        let plain = self.inflate(packed)?;
        parse(&plain).ok_or("malformed headers")
    }

    fn inflate(&mut self, mut packed: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut plain = Vec::new();
        loop {
            let flags = TINFL_FLAG_HAS_MORE_INPUT;
            let (status, eaten, made) = decompress(&mut self.state, packed, &mut self.window, self.at, flags);
            plain.extend_from_slice(&self.window[self.at..self.at + made]);
            (packed, self.at) = (&packed[eaten..], (self.at + made) % WINDOW);
            if plain.len() > LONGEST_BLOCK {
                return Err("headers are too long");
            }
            match status {
                TINFLStatus::NeedsMoreInput if packed.is_empty() => return Ok(plain),
                TINFLStatus::HasMoreOutput => {}
                _ => return Err("headers cannot be unpacked"),
            }
        }
    }
}

fn zlib_head(block: &[u8]) -> Result<&[u8], &'static str> {
    let (head, rest) = block.split_first_chunk::<6>().ok_or("headers without zlib's head")?;
    let [method, flags, id @ ..] = *head;
    let is_zlib = method & 0x0f == 8 && u16::from_be_bytes([method, flags]).is_multiple_of(31);
    if !is_zlib || flags & 0x20 == 0 || u32::from_be_bytes(id) != DICTIONARY_ID {
        return Err("headers with another dictionary");
    }
    Ok(rest)
}

/// `None`: lengths that go beyond the end, text that is no UTF-8, or too many.
fn parse(mut plain: &[u8]) -> Option<Headers> {
    let count = number(&mut plain)?;
    if count > MOST_HEADERS {
        return None;
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        headers.push((text(&mut plain)?, text(&mut plain)?));
    }
    plain.is_empty().then_some(headers)
}

fn number(plain: &mut &[u8]) -> Option<usize> {
    let (number, rest) = plain.split_first_chunk::<4>()?;
    *plain = rest;
    usize::try_from(u32::from_be_bytes(*number)).ok()
}

fn text(plain: &mut &[u8]) -> Option<String> {
    let length = number(plain)?;
    let (text, rest) = plain.split_at_checked(length)?;
    *plain = rest;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::core::{
        CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    };
    use proptest::prelude::*;

    use super::*;

    fn owned(headers: &[(&str, &str)]) -> Headers {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_dictionary_is_the_one_that_has_this_name() {
        let (mut a, mut b) = (1_u32, 0_u32);
        for byte in DICTIONARY {
            a = (a + u32::from(*byte)) % 65_521;
            b = (b + a) % 65_521;
        }
        assert_eq!(b << 16 | a, DICTIONARY_ID);
        assert!(u16::from_be_bytes(ZLIB_HEAD).is_multiple_of(31));
    }

    /// The first blocks of a Go program's SPDY connection: they look back into the dictionary, and at each other.
    #[test]
    fn what_go_packs_is_read() {
        let blocks = RECORDED.map(|text| {
            let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("digits"), 16).expect("hex");
            digits.chunks(2).map(byte).collect::<Vec<u8>>()
        });
        let mut unpacker = Unpacker::default();
        let mut read: Vec<Headers> = blocks.iter().map(|block| unpacker.unpack(block).expect("a block")).collect();
        read.iter_mut().for_each(|headers| headers.sort());
        assert_eq!(read[0], owned(&[("streamtype", "error")]));
        assert_eq!(read[1], owned(&[("streamtype", "stdin")]));
        assert_eq!(read[2], owned(&[("port", "8080"), ("requestid", "0"), ("streamtype", "data")]));
    }

    const RECORDED: [&str; 3] = [
        "78f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff",
        "c22e555c92929907000000ffff",
        "0225550c295001940829cb8bc0d9c6c2c0c280818181b30812f799a03cc16800000000ffff",
    ];

    #[test]
    fn a_bomb_of_headers_is_not_unpacked_whole() {
        let mut state = CompressorOxide::new(create_comp_flags_from_zip_params(9, 0, 0));
        let mut packed = ZLIB_HEAD.to_vec();
        packed.extend_from_slice(&DICTIONARY_ID.to_be_bytes());
        compress_to_output(&mut state, &vec![0; 64 << 20], TDEFLFlush::Sync, |bytes| {
            packed.extend_from_slice(bytes);
            true
        });
        assert!(packed.len() < 100 << 10, "{}", packed.len());
        assert_eq!(Unpacker::default().unpack(&packed), Err("headers are too long"));
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let mut good = Packer::default().pack(&[("a", "b")]);
        assert_eq!(Unpacker::default().unpack(&good), Ok(owned(&[("a", "b")])));
        assert_eq!(Unpacker::default().unpack(&good[..4]), Err("headers without zlib's head"));
        good[2] ^= 1;
        assert_eq!(Unpacker::default().unpack(&good), Err("headers with another dictionary"));
        let mut long = Packer::default().pack(&[("a", "b")]);
        // A name of 2^32 - 1 bytes, and a block that ends all.
        long[15..19].fill(0xff);
        assert_eq!(Unpacker::default().unpack(&long), Err("malformed headers"));
        let mut last = Packer::default().pack(&[]);
        last[6] = 1;
        assert_eq!(Unpacker::default().unpack(&last), Err("headers cannot be unpacked"));
    }

    proptest! {
        #[test]
        fn packed_headers_are_read_again(blocks in prop::collection::vec(
            prop::collection::vec(("[a-z-]{1,20}", "\\PC{0,200}"), 0..8), 1..8)) {
            let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
            for block in blocks {
                let given: Vec<(&str, &str)> = block.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                prop_assert_eq!(unpacker.unpack(&packer.pack(&given)), Ok(block.clone()));
            }
        }

        #[test]
        fn anything_is_refused_or_read(block in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut whole = Packer::default().pack(&[]);
            whole.truncate(6);
            whole.extend_from_slice(&block);
            let _ = Unpacker::default().unpack(&whole);
            let _ = Unpacker::default().unpack(&block);
        }
    }
}
