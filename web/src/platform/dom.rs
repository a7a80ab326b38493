//! Elements that are made without Leptos. Each Leptos view is a type of its own with code of its own, and the many views
//! of the explorer, which are seldom open, would be a quarter of the page's code.
//!
//! So the explorer makes a view's elements again whenever something in it changes, and [`put`] replaces only those that
//! differ from the ones shown. All others stay, with the reader's focus and selection.

use leptos::prelude::document;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, HtmlElement};

/// An element or a text.
#[derive(Clone)]
pub struct Node(web_sys::Node);

impl Node {
    /// The text of the node and everything in it.
    pub fn text_content(&self) -> Option<String> {
        self.0.text_content()
    }

    /// Removes everything in the node.
    pub fn clear(&self) {
        self.0.set_text_content(None);
    }
}

impl From<HtmlElement> for Node {
    fn from(element: HtmlElement) -> Self {
        Self(element.into())
    }
}

pub fn text(text: &str) -> Node {
    Node(document().create_text_node(text).into())
}

/// An element with a class and children.
pub fn element(tag: &str, class: &str, children: Vec<Node>) -> Node {
    // The call fails only for a tag with invalid characters.
    let Ok(element) = document().create_element(tag) else { return text("") };
    if !class.is_empty() {
        element.set_class_name(class);
    }
    for child in children {
        let _ = element.append_child(&child.0);
    }
    Node(element.into())
}

/// The same element with an attribute.
pub fn with(node: Node, name: &str, value: &str) -> Node {
    if let Some(element) = node.0.dyn_ref::<Element>() {
        let _ = element.set_attribute(name, value);
    }
    node
}

/// A button that acts on a value. Buttons with different values are different buttons: the one shown is replaced.
pub fn button(label: &str, value: &str, act: impl FnMut() + 'static) -> Node {
    let button = with(element("button", "", vec![text(label)]), "type", "button");
    let button = if value.is_empty() { button } else { with(button, "value", value) };
    // The browser frees the closure together with the element.
    let act = Closure::<dyn FnMut()>::new(act).into_js_value();
    let _ = button.0.add_event_listener_with_callback("click", act.unchecked_ref());
    button
}

/// Elements that are replaced as a whole. Changing only a part of them could mix old and new values.
const WHOLE: [&str; 6] = ["TD", "LI", "A", "BUTTON", "DD", "PRE"];

/// The attribute that identifies a row of a table.
pub const KEY: &str = "data-key";

/// Whether two elements differ only in their children, so that the new children can be put into the old element.
fn is_alike(old: &web_sys::Node, new: &web_sys::Node) -> bool {
    let (Some(old_element), Some(new_element)) =
        (old.dyn_ref::<Element>(), new.dyn_ref::<Element>())
    else {
        return false;
    };
    if WHOLE.contains(&old_element.tag_name().as_str()) {
        return false;
    }
    // `is_equal_node` also compares children, so both are copied without them.
    let bare = |element: &Element| element.clone_node_with_deep(false).ok()?.dyn_into().ok();
    let (Some(old), Some(new)): (Option<Element>, Option<Element>) =
        (bare(old_element), bare(new_element))
    else {
        return false;
    };
    // The reader has opened these details, which is no difference. Only the copy is changed: another old element may be
    // the one that is like the new one.
    if old.has_attribute("open") {
        let _ = new.set_attribute("open", "");
    }
    old.is_equal_node(Some(&new))
}

/// The first of these siblings for which `will_do` holds.
fn find(
    first: Option<web_sys::Node>,
    will_do: impl Fn(&web_sys::Node) -> bool,
) -> Option<web_sys::Node> {
    let mut found = first;
    while let Some(node) = found {
        if will_do(&node) {
            return Some(node);
        }
        found = node.next_sibling();
    }
    None
}

/// Removes all children of an element and returns them.
fn take_children(node: &web_sys::Node) -> Vec<web_sys::Node> {
    let mut children = Vec::new();
    while let Some(child) = node.first_child() {
        let _ = node.remove_child(&child);
        children.push(child);
    }
    children
}

/// Gives an element these children. Children that are there already and equal stay in place, so that they keep focus and
/// selection.
pub fn put(parent: &Node, children: Vec<Node>) {
    put_raw(&parent.0, children.into_iter().map(|child| child.0).collect());
}

fn put_raw(parent: &web_sys::Node, children: Vec<web_sys::Node>) {
    let mut next = parent.first_child();
    for child in children {
        let has_key = child.dyn_ref::<Element>().is_some_and(|child| child.has_attribute(KEY));
        // The search goes over all that follow: when a new row comes first, the old rows are found further down.
        let same = find(next.clone(), |old| old.is_equal_node(Some(&child)));
        // A child without a key is compared with the one at its position only. A match further down might be
        // something else, and everything before it would be removed.
        let alike = || match &next {
            Some(_) if has_key => find(next.clone(), |old| is_alike(old, &child)),
            Some(old) if is_alike(old, &child) => Some(old.clone()),
            _ => None,
        };
        let is_same = same.is_some();
        let Some(existing) = same.or_else(alike) else {
            let _ = parent.insert_before(&child, next.as_ref());
            continue;
        };
        // The children come in their final order, so whatever is before the match is no longer among them.
        while let Some(old) = next.filter(|old| !old.is_same_node(Some(&existing))) {
            next = old.next_sibling();
            let _ = parent.remove_child(&old);
        }
        if !is_same {
            put_raw(&existing, take_children(&child));
        }
        next = existing.next_sibling();
    }
    while let Some(old) = next {
        next = old.next_sibling();
        let _ = parent.remove_child(&old);
    }
}
