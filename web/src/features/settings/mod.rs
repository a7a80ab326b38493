//! How the page looks and listens: theme, colours of the sides, keyboard shortcuts. This browser
//! remembers what was chosen.

use leptos::html::Dialog;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use crate::later::{Later, MakeView, NotLoaded, wasm_split};

const THEME: &str = "zellbook.theme";
const COLOURS: &str = "zellbook.colours";
const SHORTCUTS: &str = "zellbook.shortcuts";
const PREFERS_LIGHT: &str = "(prefers-color-scheme: light)";

/// Light or dark.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system has it, also when that changes.
    System,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl Theme {
    const ALL: [(Self, &'static str); 3] =
        [(Self::System, "System"), (Self::Dark, "Dark"), (Self::Light, "Light")];

    const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Dark => "dark",
            Self::Light => "light",
        }
    }
}

/// What can be set.
#[derive(Clone, Copy)]
pub struct Settings {
    theme: RwSignal<Theme>,
    system_is_light: RwSignal<bool>,
    is_colour_blind: RwSignal<bool>,
    /// Whether single keys do something.
    pub has_shortcuts: RwSignal<bool>,
    /// Whether the sheet of settings is open.
    pub is_open: RwSignal<bool>,
    /// Whether the list of keyboard shortcuts is open.
    pub help_open: RwSignal<bool>,
}

/// What was kept under a name.
pub fn kept(name: &str) -> Option<String> {
    storage()?.get_item(name).ok()?
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok()?
}

/// Keeps a choice, or forgets one that is as if nothing was chosen. A browser that keeps nothing
/// forgets all.
pub fn remember(name: &str, value: Option<&str>) {
    if let Some(storage) = storage() {
        let _ = match value {
            Some(value) => storage.set_item(name, value),
            None => storage.remove_item(name),
        };
    }
}

fn mark_root(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        let _ = root.set_attribute(name, value);
    }
}

impl Settings {
    /// As they were left, and from now on shown by the page.
    pub fn load() -> Self {
        let theme = kept(THEME);
        let theme =
            Theme::ALL.into_iter().find(|(value, _)| theme.as_deref() == Some(value.name()));
        let system = window().match_media(PREFERS_LIGHT).ok().flatten();
        let settings = Self {
            theme: RwSignal::new(theme.map_or(Theme::System, |(theme, _)| theme)),
            system_is_light: RwSignal::new(system.as_ref().is_some_and(|it| it.matches())),
            is_colour_blind: RwSignal::new(kept(COLOURS).is_some()),
            has_shortcuts: RwSignal::new(kept(SHORTCUTS).is_none()),
            is_open: RwSignal::new(false),
            help_open: RwSignal::new(false),
        };
        if let Some(system) = system {
            let query = system.clone();
            let follow = move || settings.system_is_light.set(query.matches());
            let follow = Closure::<dyn Fn()>::new(follow).into_js_value();
            // Without it a change of the system shows after the next start.
            let _ = system.add_event_listener_with_callback("change", follow.unchecked_ref());
        }
        Effect::new(move || {
            mark_root("data-theme", if settings.is_light() { "light" } else { "dark" });
        });
        Effect::new(move || {
            let is_colour_blind = settings.is_colour_blind.get();
            mark_root("data-colours", if is_colour_blind { "blue-orange" } else { "green-red" });
        });
        settings
    }

    fn is_light(self) -> bool {
        match self.theme.get() {
            Theme::System => self.system_is_light.get(),
            theme => theme == Theme::Light,
        }
    }

    fn choose_theme(self, theme: Theme) {
        remember(THEME, (theme != Theme::System).then(|| theme.name()));
        self.theme.set(theme);
    }

    /// From light to dark, or back.
    pub fn toggle_theme(self) {
        let is_light = untrack(move || self.is_light());
        self.choose_theme(if is_light { Theme::Dark } else { Theme::Light });
    }

    fn choose_colours(self, is_colour_blind: bool) {
        remember(COLOURS, is_colour_blind.then_some("blue-orange"));
        self.is_colour_blind.set(is_colour_blind);
    }

    fn choose_shortcuts(self, has_shortcuts: bool) {
        remember(SHORTCUTS, (!has_shortcuts).then_some("off"));
        self.has_shortcuts.set(has_shortcuts);
    }
}

/// The settings, which [`crate::app::App`] provides.
pub fn use_settings() -> Settings {
    expect_context()
}

/// Opens the settings.
#[component]
pub fn SettingsButton() -> impl IntoView {
    let settings = use_settings();
    view! {
        <button
            type="button"
            class="quiet icon"
            aria-label="Settings"
            title="Settings"
            on:click=move |_| settings.is_open.set(true)
        >
            <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <path
                    fill="none"
                    stroke="currentColor"
                    stroke-width="1.5"
                    stroke-linecap="round"
                    d="M1.5 4.5h7m4 0h2M1.5 11.5h2m4 0h7M8.5 4.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0M3.5 11.5a2 2 0 1 0 4 0a2 2 0 1 0-4 0"
                />
            </svg>
        </button>
    }
}

/// A dialog that is open while a signal says so.
pub fn sheet(
    is_open: RwSignal<bool>,
    label: &'static str,
    body: impl Fn() -> AnyView + Send + Sync + 'static,
) -> impl IntoView {
    let dialog: NodeRef<Dialog> = NodeRef::new();
    Effect::new(move || {
        let Some(dialog) = dialog.get() else { return };
        if !is_open.get() {
            dialog.close();
        } else if !dialog.open() {
            // It fails only where it is open already.
            let _ = dialog.show_modal();
        }
    });
    view! {
        <dialog node_ref=dialog class="sheet" aria-label=label on:close=move |_| is_open.set(false)>
            <div class="sheet-head">
                <h2>{label}</h2>
                <button type="button" class="quiet" on:click=move |_| is_open.set(false)>"Close"</button>
            </div>
            {move || is_open.get().then(&body)}
        </dialog>
    }
}

/// The sheet with all settings.
#[component]
pub fn SettingsSheet() -> impl IntoView {
    let settings = use_settings();
    let body = || view! { <Later part=|| Box::pin(choices_part()) /> }.into_any();
    sheet(settings.is_open, "Settings", body)
}

#[wasm_split(more, wasm_split_path = ::leptos::wasm_split, fallible)]
fn choices_part() -> Result<MakeView, NotLoaded> {
    Ok(|| view! { <Choices /> }.into_any())
}

#[component]
fn Choices() -> impl IntoView {
    let settings = use_settings();
    let theme = move |(theme, name): (Theme, &'static str)| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="theme"
                    prop:checked=move || settings.theme.get() == theme
                    on:change=move |_| settings.choose_theme(theme)
                />
                {name}
            </label>
        }
    };
    view! {
        <fieldset>
            <legend>"Theme"</legend>
            {Theme::ALL.map(theme).collect_view()}
        </fieldset>
        <fieldset>
            <legend>"Colours"</legend>
            <label class="choice">
                <input
                    type="checkbox"
                    prop:checked=move || settings.is_colour_blind.get()
                    on:change=move |event| settings.choose_colours(event_target_checked(&event))
                />
                "Blue and orange instead of green and red"
            </label>
        </fieldset>
        <fieldset>
            <legend>"Keyboard"</legend>
            <label class="choice">
                <input
                    type="checkbox"
                    prop:checked=move || settings.has_shortcuts.get()
                    on:change=move |event| settings.choose_shortcuts(event_target_checked(&event))
                />
                "Single-key shortcuts"
            </label>
            <button
                type="button"
                class="small"
                on:click=move |_| {
                    settings.is_open.set(false);
                    settings.help_open.set(true);
                }
            >
                "Show shortcuts"
            </button>
        </fieldset>
    }
}
