//! Settings: theme, colours of bids and asks, keyboard shortcuts. This browser remembers them.

use leptos::prelude::*;

use crate::platform::{local_storage, style};
use crate::ui::later::{Later, MakeView, NotLoaded, wasm_split};
use crate::ui::reader::{Reader, reader};
use crate::ui::sheet::sheet;

const THEME: &str = "zellbook.theme";
const COLOURS: &str = "zellbook.colours";
const SHORTCUTS: &str = "zellbook.shortcuts";

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// The system's theme, also when it changes.
    System,
    Dark,
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

#[derive(Clone, Copy)]
pub struct Settings {
    theme: RwSignal<Theme>,
    system_is_light: RwSignal<bool>,
    is_colour_blind: RwSignal<bool>,
    /// Whether single keys are shortcuts.
    pub has_shortcuts: Reader<bool>,
    set_has_shortcuts: RwSignal<bool>,
    /// Whether the settings are open.
    pub is_open: RwSignal<bool>,
    /// Whether the list of keyboard shortcuts is open.
    pub help_is_open: RwSignal<bool>,
}

impl Settings {
    /// Loads the settings and applies them, now and whenever they change.
    pub fn load() -> Self {
        let theme = local_storage::get(THEME);
        let theme =
            Theme::ALL.into_iter().find(|(value, _)| theme.as_deref() == Some(value.name()));
        let system_is_light = RwSignal::new(false);
        system_is_light.set(style::prefers_light(move |is_light| system_is_light.set(is_light)));
        let (has_shortcuts, set_has_shortcuts) = reader(local_storage::get(SHORTCUTS).is_none());
        let settings = Self {
            theme: RwSignal::new(theme.map_or(Theme::System, |(theme, _)| theme)),
            system_is_light,
            is_colour_blind: RwSignal::new(local_storage::get(COLOURS).is_some()),
            has_shortcuts,
            set_has_shortcuts,
            is_open: RwSignal::new(false),
            help_is_open: RwSignal::new(false),
        };
        // Set for the system's theme too: the style sheet asks the system only until the page has started.
        Effect::new(move || {
            style::set_attribute("data-theme", if settings.is_light() { "light" } else { "dark" });
        });
        Effect::new(move || {
            let is_colour_blind = settings.is_colour_blind.get();
            style::set_attribute(
                "data-colours",
                if is_colour_blind { "blue-orange" } else { "green-red" },
            );
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
        // Only a choice is stored. Without one, the page follows the system even if that changes later.
        local_storage::set(THEME, (theme != Theme::System).then(|| theme.name()));
        self.theme.set(theme);
    }

    /// Switches from light to dark, or back.
    pub fn toggle_theme(self) {
        let is_light = untrack(move || self.is_light());
        self.choose_theme(if is_light { Theme::Dark } else { Theme::Light });
    }

    fn choose_colours(self, is_colour_blind: bool) {
        local_storage::set(COLOURS, is_colour_blind.then_some("blue-orange"));
        self.is_colour_blind.set(is_colour_blind);
    }

    fn choose_shortcuts(self, has_shortcuts: bool) {
        local_storage::set(SHORTCUTS, (!has_shortcuts).then_some("off"));
        self.set_has_shortcuts.set(has_shortcuts);
    }
}

pub fn use_settings() -> Settings {
    expect_context()
}

/// The button that opens the settings.
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
                    // Of two open dialogs, Esc would close only the upper one.
                    settings.is_open.set(false);
                    settings.help_is_open.set(true);
                }
            >
                "Show shortcuts"
            </button>
        </fieldset>
    }
}
