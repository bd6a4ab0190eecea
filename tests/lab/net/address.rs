//! IPv4 addresses with a prefix length, `192.0.2.9/24`.

use std::net::Ipv4Addr;

/// Address and prefix length. Without a length, that of the address's class, as with an empty netmasks(4).
pub fn parse(text: &str) -> Option<(Ipv4Addr, u32)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse::<u32>().ok().filter(|n| *n <= 32)?)),
        None => (text, None),
    };
    let address: Ipv4Addr = address.parse().ok()?;
    let class = match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    };
    Some((address, length.unwrap_or(class)))
}

/// The mask of a prefix length.
pub fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

/// The prefix length of a mask: `255.255.255.0`, `0xffffff00` or `ffffff00`.
pub fn length_of_mask(text: &str) -> Option<u32> {
    let bits = match text.parse::<Ipv4Addr>() {
        Ok(mask) => u32::from(mask),
        Err(_) => u32::from_str_radix(text.trim_start_matches("0x"), 16).ok()?,
    };
    (bits.leading_ones() + bits.trailing_zeros() == 32).then(|| bits.leading_ones())
}

/// Whether two addresses are on the subnet of the first.
pub fn covers(address: &str, other: &str) -> bool {
    match (parse(address), parse(other)) {
        (Some((own, length)), Some((other, _))) => {
            u32::from(own) & mask(length) == u32::from(other) & mask(length)
        }
        _ => false,
    }
}

/// Without the length.
pub fn plain(address: &str) -> &str {
    address.split('/').next().unwrap_or(address)
}

/// With the length that it has or, by its class, gets.
pub fn with_length(address: &str) -> String {
    parse(address).map_or_else(|| address.to_owned(), |(address, length)| format!("{address}/{length}"))
}

/// The subnet's own address.
pub fn subnet(address: &str) -> Option<Ipv4Addr> {
    let (address, length) = parse(address)?;
    Some(Ipv4Addr::from(u32::from(address) & mask(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_and_lengths_mean_the_same() {
        for (mask, length) in [("255.255.255.0", 24), ("0xfffffe00", 23), ("0.0.0.0", 0), ("ffffffff", 32)] {
            assert_eq!(length_of_mask(mask), Some(length), "{mask}");
        }
        assert_eq!(length_of_mask("255.0.255.0"), None);
        assert!(covers("192.0.2.9/24", "192.0.2.1") && !covers("192.0.2.9/25", "192.0.2.129"));
        assert!(!covers("192.0.2.9/24", "nonsense"));
        assert_eq!(with_length("10.1.2.3"), "10.1.2.3/8");
    }
}
