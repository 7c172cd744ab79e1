//! The output.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;

use color_eyre::eyre::{Result, WrapErr};
use indicatif::{BinaryBytes, HumanCount};

use crate::Hashed;
use crate::common::sum::Sum;
use crate::folder::File;

/// Files of equal content.
struct Group {
    sum: Sum,
    /// Sorted by path.
    files: Vec<File>,
    /// Bytes that would be free if there were only one of them.
    waste: u64,
}

/// Prints the groups and the totals. A closed pipe is not an error.
pub fn print(equal: Vec<Hashed>) -> Result<()> {
    match write(&groups(equal), BufWriter::new(io::stdout().lock())) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.wrap_err("cannot write to stdout"),
    }
}

fn groups(equal: Vec<Hashed>) -> Vec<Group> {
    let mut by_sum: BTreeMap<Sum, Vec<File>> = BTreeMap::new();
    for Hashed { file, sum, .. } in equal {
        by_sum.entry(sum).or_default().push(file);
    }
    let mut groups: Vec<Group> = by_sum.into_iter().map(|(sum, files)| Group::new(sum, files)).collect();
    groups.sort_by(|a, b| a.waste.cmp(&b.waste).then_with(|| a.files[0].path.cmp(&b.files[0].path)));
    groups
}

impl Group {
    fn new(sum: Sum, mut files: Vec<File>) -> Group {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut seen = HashSet::new();
        let copies = files.iter().filter(|file| file.id.is_none_or(|id| seen.insert(id))).count() as u64;
        let waste = files[0].len * (copies - 1);
        Group { sum, files, waste }
    }
}

fn write(groups: &[Group], mut out: impl Write) -> io::Result<()> {
    for Group { sum, files, .. } in groups {
        writeln!(out, "# {} files of {}", HumanCount(files.len() as u64), BinaryBytes(files[0].len))?;
        for file in files {
            write_line(&mut out, sum, &file.path)?;
        }
        writeln!(out)?;
    }
    let files = groups.iter().map(|group| group.files.len() as u64).sum();
    let waste = groups.iter().map(|group| group.waste).sum();
    let (groups, files, waste) = (HumanCount(groups.len() as u64), HumanCount(files), BinaryBytes(waste));
    writeln!(out, "# {groups} groups, {files} files; {waste} could be saved")?;
    out.flush()
}

/// Writes a line as `sha256sum` does: a backslash in front means that the name contains escapes.
fn write_line(out: &mut impl Write, sum: &Sum, path: &Path) -> io::Result<()> {
    let name = path.as_os_str().as_encoded_bytes();
    if !name.iter().any(|byte| b"\\\n\r".contains(byte)) {
        write!(out, "{sum}  ")?;
        out.write_all(name)?;
        return out.write_all(b"\n");
    }
    write!(out, "\\{sum}  ")?;
    for byte in name {
        match byte {
            b'\\' => out.write_all(br"\\")?,
            b'\n' => out.write_all(br"\n")?,
            b'\r' => out.write_all(br"\r")?,
            _ => out.write_all(&[*byte])?,
        }
    }
    out.write_all(b"\n")
}
