//! Decimal numbers without the formatting machinery, which costs more than the rest of a head.

/// The most digits of a 64-bit number.
const DIGITS_MAX: usize = 20;

/// Appends `number` in decimal digits.
pub fn push(out: &mut Vec<u8>, number: u64) {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    let mut left = number;
    loop {
        start -= 1;
        digits[start] = digit(left);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes the last digits of `number` over `to`, with leading zeros.
pub fn write_padded(to: &mut [u8], number: u64) {
    let mut left = number;
    for place in to.iter_mut().rev() {
        *place = digit(left);
        left /= 10;
    }
}

fn digit(number: u64) -> u8 {
    // A remainder of ten fits.
    b'0' + (number % 10) as u8
}
