//! Reading files: whole documents, WebAssembly, and the files a component sees.

mod walk;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use glob::Pattern;

use self::walk::{Destination, Walk};
use crate::app::GuestFile;
use crate::names::quoted;
use crate::{AppError, Problem};

/// One file of a component. Larger content belongs in a store.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;
/// All files of a component; they are held in memory.
pub(crate) const FILES_BYTES_MAX: u64 = 256 << 20;
/// How many files a component may see.
pub(crate) const FILES_MAX: usize = 10_000;
/// A path that a component sees.
const PATH_BYTES_MAX: usize = 1024;

/// Which files a component sees, as a manifest says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mount {
    /// At the path they have below the application's folder.
    Pattern(String),
    /// A file or folder, somewhere else.
    Placed { source: String, destination: String },
}

/// Reads a text file of at most `bytes_max` bytes.
pub(crate) fn read_document(
    path: &Path,
    document: &str,
    bytes_max: u64,
) -> Result<String, AppError> {
    let bytes = read(path, document, bytes_max)?;
    if bytes.starts_with(b"\0asm") {
        let problem = "is a WebAssembly file; name a manifest whose `source` it is";
        return Err(AppError::document(document, problem));
    }
    String::from_utf8(bytes.into()).map_err(|error| {
        let problem = format!("is not UTF-8 text ({})", error.utf8_error());
        AppError::document(document, &problem)
    })
}

/// Reads a file of at most `bytes_max` bytes; `at` names what refers to it.
pub(crate) fn read(path: &Path, at: &str, bytes_max: u64) -> Result<Bytes, AppError> {
    let failed = |source| AppError::Read {
        at: at.to_owned(),
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(AppError::invalid(
            at,
            format!("`{}` is not a file", path.display()),
        ));
    }
    let too_large = |bytes| AppError::TooLarge {
        at: at.to_owned(),
        bytes,
        bytes_max,
    };
    if metadata.len() > bytes_max {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let file = fs::File::open(path).map_err(failed)?;
    let read = file
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    match u64::try_from(read) {
        Ok(read) if read <= bytes_max => Ok(bytes.into()),
        _ => Err(too_large(bytes_max.saturating_add(1))),
    }
}

/// The path at which a component sees a file: absolute, without empty parts or `.`.
///
/// Fails for a path that is empty, too long, or would lead out with `..`.
pub(crate) fn guest_path(path: &str) -> Result<String, Problem> {
    let mut absolute = String::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        if part == ".." || part.contains(['\0', '\\']) {
            return Err(Problem::new(format!(
                "{} is not a path of a file; write it without `..`, with `/` between its parts",
                quoted(path)
            )));
        }
        absolute.push('/');
        absolute.push_str(part);
    }
    if absolute.is_empty() || path.ends_with('/') || absolute.len() > PATH_BYTES_MAX {
        return Err(Problem::new(format!(
            "{} is not a path of a file; name the file, in at most {PATH_BYTES_MAX} bytes",
            quoted(path)
        )));
    }
    Ok(absolute)
}

/// The files of one component by path, within the bounds.
#[derive(Debug, Default)]
pub(crate) struct FileTree {
    files: BTreeMap<String, Bytes>,
    bytes: u64,
}

impl FileTree {
    /// Adds a file; one that was at its path before is gone.
    pub fn add(&mut self, path: String, bytes: Bytes, at: &str) -> Result<(), AppError> {
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.bytes > FILES_BYTES_MAX {
            return Err(AppError::TooLarge {
                at: at.to_owned(),
                bytes: self.bytes,
                bytes_max: FILES_BYTES_MAX,
            });
        }
        if let Some(before) = self.files.insert(path, bytes) {
            self.bytes -= u64::try_from(before.len())
                .unwrap_or(self.bytes)
                .min(self.bytes);
        }
        if self.files.len() > FILES_MAX {
            return Err(AppError::invalid(
                at,
                format!("more than {FILES_MAX} files; include fewer, or put them into a store"),
            ));
        }
        Ok(())
    }

    /// Whether there is a file at `path`.
    pub fn contains(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The files by path.
    ///
    /// Fails when one is where another needs a folder.
    pub fn into_files(self, at: &str) -> Result<Vec<GuestFile>, AppError> {
        for path in self.files.keys() {
            let mut folders = path
                .match_indices('/')
                .filter_map(|(end, _)| path.get(..end));
            if let Some(file) = folders.find(|folder| self.contains(folder)) {
                return Err(AppError::invalid(
                    at,
                    format!(
                        "{} is a file, and {} needs a folder there",
                        quoted(file),
                        quoted(path)
                    ),
                ));
            }
        }
        Ok(self
            .files
            .into_iter()
            .map(|(path, bytes)| GuestFile { path, bytes })
            .collect())
    }
}

/// Reads the files of one component. Patterns in `exclude` apply, as in Spin, to what a pattern
/// or a folder brought in, not to a file that is named. Later mounts go over earlier ones.
///
/// `root` is the folder of the application: everything has to be in it, links included.
pub(crate) fn collect(
    root: &Path,
    mounts: &[Mount],
    exclude: &[String],
    place: &str,
) -> Result<Vec<GuestFile>, AppError> {
    let at = format!("{place}.files");
    let excluded = exclude
        .iter()
        .map(|text| pattern(text).map_err(|problem| problem.at(format!("{place}.exclude_files"))))
        .collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk::new(root, &at)?;
    let mut tree = FileTree::default();
    for mount in mounts {
        for (source, destination) in walk.mounted(mount)? {
            let Destination { path, named } = destination;
            let relative = walk.relative(&source);
            if !named
                && excluded
                    .iter()
                    .any(|pattern| pattern.matches_path(relative))
            {
                continue;
            }
            let path = guest_path(&path).map_err(|problem| problem.at(&at))?;
            tree.add(path, read(&source, &at, FILE_BYTES_MAX)?, &at)?;
        }
    }
    tree.into_files(&at)
}

fn pattern(text: &str) -> Result<Pattern, Problem> {
    Pattern::new(text)
        .map_err(|error| Problem::new(format!("{} is not a pattern ({})", quoted(text), error.msg)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("a.txt", "a"),
            ("dir/b.txt", "b"),
            ("dir/.hidden", "h"),
            ("dir/deep/c.txt", "c"),
            ("dir/deep/d.md", "d"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn paths(mounts: &[Mount], exclude: &[&str]) -> Result<Vec<String>, AppError> {
        let exclude: Vec<String> = exclude.iter().map(|text| text.to_string()).collect();
        let files = collect(folder().path(), mounts, &exclude, "component.x")?;
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    fn pattern_of(text: &str) -> Mount {
        Mount::Pattern(text.to_owned())
    }

    fn placed(source: &str, destination: &str) -> Mount {
        Mount::Placed {
            source: source.to_owned(),
            destination: destination.to_owned(),
        }
    }

    #[test]
    fn files_are_seen_where_spin_puts_them() {
        let check = |mount: Mount, exclude: &[&str], expected: &[&str]| {
            assert_eq!(
                paths(std::slice::from_ref(&mount), exclude).unwrap(),
                expected,
                "{mount:?}"
            );
        };
        let dir = [
            "/dir/.hidden",
            "/dir/b.txt",
            "/dir/deep/c.txt",
            "/dir/deep/d.md",
        ];
        check(pattern_of("a.txt"), &["*"], &["/a.txt"]);
        check(pattern_of("./a.txt"), &[], &["/a.txt"]);
        check(pattern_of("dir"), &[], &dir);
        check(pattern_of("dir/**"), &[], &dir);
        check(pattern_of("dir/**/*"), &[], &dir);
        check(pattern_of("dir/*"), &[], &dir[..2]);
        check(
            pattern_of("**/*.txt"),
            &[],
            &["/a.txt", "/dir/b.txt", "/dir/deep/c.txt"],
        );
        check(pattern_of("*/*/c.*"), &[], &["/dir/deep/c.txt"]);
        check(
            pattern_of("dir/**/deep/[cx].txt"),
            &[],
            &["/dir/deep/c.txt"],
        );
        check(placed("dir", "/"), &["dir/deep/*"], &["/.hidden", "/b.txt"]);
        check(
            placed("dir", "/www"),
            &["**/*.md", "dir/.*"],
            &["/www/b.txt", "/www/deep/c.txt"],
        );
        check(
            placed("a.txt", "/www/index.html"),
            &[],
            &["/www/index.html"],
        );
    }

    #[test]
    fn later_mounts_go_over_earlier_ones() {
        let files = collect(
            folder().path(),
            &[pattern_of("a.txt"), placed("dir/b.txt", "/a.txt")],
            &[],
            "component.x",
        )
        .unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].bytes.as_ref(), b"b");
    }

    #[test]
    fn what_is_missing_outside_or_no_file_is_refused_with_its_place() {
        for (mount, word) in [
            (pattern_of("none.txt"), "does not exist"),
            (pattern_of("dir/*.none"), "matches no file"),
            (pattern_of("../x"), "outside"),
            (pattern_of("/etc/hosts"), "outside"),
            (pattern_of("."), "whole folder"),
            (pattern_of("dir/[a"), "not a pattern"),
            (placed("none", "/"), "does not exist"),
            (placed("a.txt", "/"), "name the file"),
            (placed("a.txt", "/../x"), "without `..`"),
        ] {
            let error = paths(std::slice::from_ref(&mount), &[])
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("component.x.files") && error.contains(word),
                "{error}"
            );
        }
        let error = paths(&[pattern_of("a.txt")], &["[a"])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("component.x.exclude_files"), "{error}");
        let conflict = [placed("a.txt", "/dir"), pattern_of("dir/b.txt")];
        assert!(
            paths(&conflict, &[])
                .unwrap_err()
                .to_string()
                .contains("needs a folder")
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_inside_the_applications_folder() {
        let folder = folder();
        let link = |from: &str, to: &Path| {
            std::os::unix::fs::symlink(to, folder.path().join(from)).unwrap();
        };
        link("dir/inside.txt", &folder.path().join("a.txt"));
        let seen = |mount: Mount| collect(folder.path(), &[mount], &[], "component.x");
        assert_eq!(
            seen(pattern_of("dir/inside.txt")).unwrap()[0]
                .bytes
                .as_ref(),
            b"a"
        );
        link("dir/loop", &folder.path().join("dir"));
        assert!(
            seen(pattern_of("dir"))
                .unwrap_err()
                .to_string()
                .contains("link to a folder")
        );
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        link("out.txt", &outside.path().join("secret"));
        link("out", outside.path());
        for mount in [
            pattern_of("out.txt"),
            pattern_of("out/secret"),
            pattern_of("*.txt"),
            pattern_of("out/*"),
            placed("out", "/"),
        ] {
            let error = seen(mount.clone()).unwrap_err().to_string();
            assert!(error.contains("link out of"), "{mount:?}: {error}");
        }
    }

    #[test]
    fn a_file_over_its_bound_is_refused_with_both_sizes() {
        let folder = folder();
        let error = read(&folder.path().join("a.txt"), "x", 0).unwrap_err();
        assert!(
            matches!(
                error,
                AppError::TooLarge {
                    bytes: 1,
                    bytes_max: 0,
                    ..
                }
            ),
            "{error}"
        );
        let error = read(folder.path(), "x", 10).unwrap_err();
        assert!(error.to_string().contains("is not a file"), "{error}");
        let mut tree = FileTree::default();
        let large = Bytes::from(vec![0; 1 << 20]);
        let added = (0..=FILES_BYTES_MAX >> 20)
            .try_for_each(|number| tree.add(format!("/{number}"), large.clone(), "x"));
        assert!(matches!(added, Err(AppError::TooLarge { .. })));
    }

    proptest! {
        #[test]
        fn a_guest_path_is_absolute_and_stays_inside(text in "\\PC{0,20}|[a/.]{0,12}") {
            if let Ok(path) = guest_path(&text) {
                prop_assert!(path.starts_with('/'));
                prop_assert!(path.split('/').skip(1).all(|part| !matches!(part, "" | "." | "..")));
                prop_assert_eq!(guest_path(&path), Ok(path.clone()));
            }
        }

        #[test]
        fn any_pattern_finds_files_or_is_refused(text in "\\PC{0,12}|[a-d./*?\\[\\]]{0,12}") {
            if let Ok(found) = paths(&[pattern_of(&text)], &[]) {
                prop_assert!(!found.is_empty());
            }
        }
    }
}
