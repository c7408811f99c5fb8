//! `selvedge::fs` against `std::fs`: the same program on two trees has the same answers, and leaves the
//! same tree.

use crate::Scratch;
use crate::common::{ALL, beside};
use proptest::prelude::*;
use selvedge::fs::{self, File, OpenOptions};
use std::fmt::Debug;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A call and its operands: two of a few names, and some bytes.
#[derive(Clone, Debug)]
struct Step {
    call: usize,
    one: usize,
    other: usize,
    bytes: Vec<u8>,
}

const NAMES: [&str; 7] = ["a", "b", "d", "d/a", "d/e", "d/e/a", "link"];
const CALLS: usize = 18;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let names = 0..NAMES.len();
    let bytes = prop::collection::vec(any::<u8>(), 0..9);
    let step = (0..CALLS, names.clone(), names, bytes);
    let step = step.prop_map(|(call, one, other, bytes)| Step { call, one, other, bytes });
    prop::collection::vec(step, 1..60)
}

/// An answer in words: both trees' must be the same, but for the root of the tree.
fn words<T: Debug>(root: &Path, answer: io::Result<T>) -> String {
    let kind = answer.map_err(|error| error.kind());
    format!("{kind:?}").replace(root.to_str().expect("a plain path"), "ROOT")
}

/// The interpreter of steps: with `fs` of ours or of `std`.
macro_rules! interpreter {
    ($name:ident, $fs:path) => {
        fn $name(root: &Path, step: &Step) -> String {
            use $fs as fs;
            let (one, other) = (root.join(NAMES[step.one]), root.join(NAMES[step.other]));
            let plain = |metadata: fs::Metadata| {
                (metadata.is_dir(), metadata.is_file(), metadata.is_file().then(|| metadata.len()))
            };
            match step.call {
                0 => words(root, fs::read(one)),
                1 => words(root, fs::read_to_string(one)),
                2 | 3 => words(root, fs::write(one, &step.bytes)),
                4 => words(root, fs::create_dir(one)),
                5 => words(root, fs::create_dir_all(one)),
                6 => words(root, fs::remove_file(one)),
                7 => words(root, fs::remove_dir(one)),
                8 => words(root, fs::remove_dir_all(one)),
                9 => words(root, fs::rename(one, other)),
                // Copying a file onto itself empties it, in `std` too.
                10 => words(root, fs::copy(one, other)),
                11 => words(root, fs::hard_link(one, other)),
                12 => words(root, fs::exists(one)),
                13 => words(root, fs::metadata(one).map(plain)),
                14 => words(root, fs::symlink_metadata(one).map(plain)),
                15 => words(root, fs::canonicalize(one)),
                16 => words(root, fs::read_link(one)),
                _ => words(
                    root,
                    fs::read_dir(one).and_then(|entries| {
                        let mut names = Vec::new();
                        for entry in entries {
                            let entry = entry?;
                            names.push((entry.file_name(), entry.file_type()?.is_dir()));
                        }
                        names.sort();
                        Ok(names)
                    }),
                ),
            }
        }
    };
}

interpreter!(ours, selvedge::fs);
interpreter!(stds, std::fs);

/// Everything below, in words.
fn tree(root: &Path, at: &Path, all: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(at).unwrap().map(|entry| entry.unwrap()).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let name = path.strip_prefix(root).unwrap().display().to_string();
        if entry.file_type().unwrap().is_dir() {
            all.push(name);
            tree(root, &path, all);
        } else {
            all.push(format!("{name} {:?}", std::fs::read(path).map_err(|error| error.kind())));
        }
    }
}

fn whole(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    tree(root, root, &mut all);
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn it_does_what_stds_does(steps in steps()) {
        let (own, twin) = (Scratch::new(), Scratch::new());
        for scratch in [&own, &twin] {
            std::os::unix::fs::symlink("a", scratch.path().join("link")).unwrap();
        }
        let runtime = selvedge::Runtime::builder().processors(1).build().unwrap();
        for step in &steps {
            let answer = runtime.run(|| ours(own.path(), step));
            prop_assert_eq!(answer, stds(twin.path(), step), "{:?}", step);
        }
        prop_assert_eq!(whole(own.path()), whole(twin.path()));
    }
}

#[test]
fn a_file_is_read_written_and_moved_in_as_stds_is() {
    beside(|| {
        for placement in ALL {
            placement.runtime(2).run(the_life_of_a_file);
        }
    });
}

fn the_life_of_a_file() {
    let scratch = Scratch::new();
    let path = scratch.path().join("file");
    let absent = File::open(&path).expect_err("there is none");
    assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    let mut file = File::create_new(&path).unwrap();
    assert_eq!(File::create_new(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let seven = 7;
    write!(file, "warp-{seven}").unwrap();
    file.write_all(b" and weft").unwrap();
    assert_eq!(file.seek(SeekFrom::Start(5)).unwrap(), 5);
    let mut rest = String::new();
    file.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "7 and weft");
    file.write_all_at(b"W", 0).unwrap();
    let mut four = [0; 4];
    file.read_exact_at(&mut four, 0).unwrap();
    assert_eq!(&four, b"Warp");
    file.set_len(4).unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 4);
    // A reference reads and writes, too, and a clone shares the position.
    (&file).rewind().unwrap();
    let mut clone = file.try_clone().unwrap();
    let mut one = [0; 1];
    clone.read_exact(&mut one).unwrap();
    (&file).read_exact(&mut four[..1]).unwrap();
    assert_eq!((one, four[0]), (*b"W", b'a'));
    let mut log = OpenOptions::new().append(true).open(&path).unwrap();
    log.write_all(b"!").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"Warp!");
    // Into std's and back it is the same file.
    let mut back = File::from(std::fs::File::from(log));
    back.write_all(b"?").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "Warp!?");
    let entries = fs::read_dir(scratch.path()).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
}

#[test]
fn a_directory_of_many_entries_is_read_whole() {
    beside(|| {
        let scratch = Scratch::new();
        // As many as are read ahead, one less and one more.
        for count in [0, 1, 127, 128, 129, 300] {
            let directory = scratch.path().join(count.to_string());
            std::fs::create_dir(&directory).unwrap();
            (0..count).for_each(|n| std::fs::write(directory.join(n.to_string()), "").unwrap());
            let runtime = selvedge::Runtime::builder().processors(1).build().unwrap();
            let read = runtime.run(|| {
                let entries = fs::read_dir(&directory).unwrap();
                entries.map(|entry| entry.unwrap().path()).collect::<std::collections::HashSet<_>>()
            });
            assert_eq!(read.len(), count);
        }
    });
}
