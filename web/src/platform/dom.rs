//! Elements made by hand. A Leptos view is a type of its own with code of its own; the explorer has many
//! views that are seldom open, and their code would be a quarter of the page. So its views are plain
//! elements, made anew when what they show changes; only what differs replaces what is there, so that
//! focus and selection stay.

use leptos::prelude::document;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::Element;
pub use web_sys::Node;

/// Text.
pub fn text(text: &str) -> Node {
    document().create_text_node(text).into()
}

/// An element with what is in it.
pub fn element(tag: &str, class: &str, children: Vec<Node>) -> Node {
    // Only a name with characters that no name has fails.
    let Ok(element) = document().create_element(tag) else { return text("") };
    if !class.is_empty() {
        element.set_class_name(class);
    }
    for child in children {
        let _ = element.append_child(&child);
    }
    element.into()
}

/// The element, with an attribute.
pub fn with(node: Node, name: &str, value: &str) -> Node {
    if let Some(element) = node.dyn_ref::<Element>() {
        let _ = element.set_attribute(name, value);
    }
    node
}

/// A button that does something with a value; one with another value is another button.
pub fn button(label: &str, value: &str, act: impl FnMut() + 'static) -> Node {
    let button = with(element("button", "", vec![text(label)]), "type", "button");
    let button = if value.is_empty() { button } else { with(button, "value", value) };
    // It lives as long as the element does.
    let act = Closure::<dyn FnMut()>::new(act).into_js_value();
    let _ = button.add_event_listener_with_callback("click", act.unchecked_ref());
    button
}

/// What is replaced as a whole, for a part of it alone means nothing.
const WHOLE: [&str; 6] = ["TD", "LI", "A", "BUTTON", "DD", "PRE"];

/// The attribute that tells the rows of a table apart.
pub const KEY: &str = "data-key";

/// Whether two elements are alike but for what is in them, so that one can become the other.
fn is_alike(old: &Node, new: &Node) -> bool {
    let (Some(old_element), Some(new_element)) =
        (old.dyn_ref::<Element>(), new.dyn_ref::<Element>())
    else {
        return false;
    };
    // The reader has opened it.
    if old_element.has_attribute("open") {
        let _ = new_element.set_attribute("open", "");
    }
    let bare = |node: &Node| node.clone_node_with_deep(false).ok();
    !WHOLE.contains(&old_element.tag_name().as_str())
        && bare(old).zip(bare(new)).is_some_and(|(old, new)| old.is_equal_node(Some(&new)))
}

/// The first of these siblings that will do.
fn find(first: Option<Node>, will_do: impl Fn(&Node) -> bool) -> Option<Node> {
    let mut found = first;
    while let Some(node) = found {
        if will_do(&node) {
            return Some(node);
        }
        found = node.next_sibling();
    }
    None
}

/// Takes out all that is in an element.
fn take_children(node: &Node) -> Vec<Node> {
    let mut children = Vec::new();
    while let Some(child) = node.first_child() {
        let _ = node.remove_child(&child);
        children.push(child);
    }
    children
}

/// Puts children into an element, and leaves those that are there already.
pub fn put(parent: &Node, children: Vec<Node>) {
    let mut next = parent.first_child();
    for child in children {
        let has_key = child.dyn_ref::<Element>().is_some_and(|child| child.has_attribute(KEY));
        let same = find(next.clone(), |old| old.is_equal_node(Some(&child)));
        // What has no key is known by its place only.
        let alike = || match &next {
            Some(_) if has_key => find(next.clone(), |old| is_alike(old, &child)),
            Some(old) if is_alike(old, &child) => Some(old.clone()),
            _ => None,
        };
        let is_same = same.is_some();
        let Some(kept) = same.or_else(alike) else {
            let _ = parent.insert_before(&child, next.as_ref());
            continue;
        };
        while let Some(old) = next.filter(|old| !old.is_same_node(Some(&kept))) {
            next = old.next_sibling();
            let _ = parent.remove_child(&old);
        }
        if !is_same {
            put(&kept, take_children(&child));
        }
        next = kept.next_sibling();
    }
    while let Some(old) = next {
        next = old.next_sibling();
        let _ = parent.remove_child(&old);
    }
}
