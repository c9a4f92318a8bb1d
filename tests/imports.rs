//! How the house hangs together: imports go down only, and there is no circle between rooms or between files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// The rooms from the ground up. What stands in one line does not know of its neighbours.
const ROOMS: &[&[&str]] = &[
    &["units"],
    &["engine", "disk"],
    &["pipe"],
    &["report", "share", "command"],
    &["config"],
    &["control"],
    &["top"],
    &["run"],
    &["entry"],
];

/// The place of a module in the tree, from the crate's root on.
type Module = Vec<String>;

/// Which file uses something of which other ones.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn imports_go_down_only() {
    let rank = |module: &Module| {
        let room = module.first().map_or("", String::as_str);
        ROOMS.iter().position(|rooms| rooms.contains(&room))
    };
    let mut wrong = Vec::new();
    for (file, uses) in imports() {
        let Some(own) = rank(&file) else {
            panic!("{} is in no room that this test knows", file.join("::"));
        };
        for used in uses.iter().filter(|used| used.first() != file.first()) {
            if rank(used).is_none_or(|rank| rank >= own) {
                wrong.push(format!("{} uses {}", file.join("::"), used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "upwards or sideways: {wrong:#?}");
}

#[test]
fn there_is_no_circle_between_files() {
    let mut rest = imports();
    // Who uses nothing that is left is in no circle, and whoever uses only those is not either.
    loop {
        let left: BTreeSet<Module> = rest.keys().cloned().collect();
        let before = rest.len();
        rest.retain(|_, uses| uses.iter().any(|used| left.contains(used)));
        if rest.len() == before {
            break;
        }
    }
    // Nor is who is used by nobody that is left.
    loop {
        let used: BTreeSet<Module> = rest.values().flatten().cloned().collect();
        let before = rest.len();
        rest.retain(|file, _| used.contains(file));
        if rest.len() == before {
            break;
        }
    }
    let left: BTreeSet<Module> = rest.keys().cloned().collect();
    let edges = rest.iter().flat_map(|(file, uses)| {
        let uses = uses.iter().filter(|used| left.contains(*used));
        uses.map(|used| format!("{} uses {}", file.join("::"), used.join("::")))
    });
    let edges: Vec<_> = edges.collect();
    assert!(edges.is_empty(), "in a circle: {edges:#?}");
}

#[test]
fn the_test_sees_what_is_imported() {
    let imports = imports();
    let uses = |file: &str, used: &str| {
        let module = |text: &str| text.split("::").map(str::to_owned).collect::<Module>();
        imports[&module(file)].contains(&module(used))
    };
    assert!(uses("pipe::sink", "engine::drive"), "a use with a group");
    assert!(uses("engine", "engine::state"), "a child by its bare name");
    assert!(uses("engine::source", "engine::log"), "a neighbour");
    assert!(!uses("engine::log", "engine::source"));
    assert!(imports.len() > 100, "{} files", imports.len());
}

/// What all files of the crate import, tests apart.
fn imports() -> Imports {
    let mut files = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &[],
        &mut files,
    );
    let all: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    let files = files.into_iter().map(|(module, text)| {
        let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", module.join("::")));
        let mut reader = Reader {
            file: &module,
            inside: Vec::new(),
            all: &all,
            uses: BTreeSet::new(),
        };
        reader.visit_file(&file);
        let uses = reader.uses;
        (module, uses)
    });
    files.collect()
}

/// The sources below a directory, with the modules that they are.
fn collect(directory: &Path, above: &[String], files: &mut Vec<(Module, String)>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let is_apart = ["tests", "garbage"].contains(&name.as_str());
        let is_root = above.is_empty() && ["lib", "main", "build"].contains(&name.as_str());
        if is_apart || is_root {
            continue;
        }
        let mut module = above.to_vec();
        if path.is_dir() {
            module.push(name);
            collect(&path, &module, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            if name != "mod" {
                module.push(name);
            }
            files.push((module, fs::read_to_string(&path).expect("text")));
        }
    }
}

/// Reads one file.
struct Reader<'a> {
    file: &'a Module,
    /// The modules within the file that are being read.
    inside: Vec<String>,
    all: &'a BTreeSet<Module>,
    uses: BTreeSet<Module>,
}

impl Reader<'_> {
    /// A path is used, in this or that form.
    fn path(&mut self, path: &[String]) {
        let mut here = self.file.clone();
        here.extend_from_slice(&self.inside);
        let mut at = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => here,
            Some(name) => {
                here.push(name.to_owned());
                if !self.all.contains(&here) {
                    return;
                }
                here.pop();
                here
            }
            None => return,
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                name => at.push(name.to_owned()),
            }
        }
        while !at.is_empty() && !self.all.contains(&at) {
            at.pop();
        }
        if !at.is_empty() && at != *self.file {
            self.uses.insert(at);
        }
    }

    fn tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.tree(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.path(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.path(&with(&name.ident)),
            syn::UseTree::Glob(_) => self.path(before),
            syn::UseTree::Group(group) => group.items.iter().for_each(|it| self.tree(before, it)),
        }
    }
}

/// Whether something is there for tests alone.
fn is_for_tests(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        let list = attr.meta.require_list();
        attr.path().is_ident("cfg") && list.is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_some() && !is_for_tests(&item.attrs) {
            self.inside.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.inside.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.tree(&[], &item.tree);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    // How far something can be seen is no import.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|it| it.ident.to_string())
            .collect();
        if names.len() > 1 {
            self.path(&names);
        }
        visit::visit_path(self, path);
    }
}
