//! The little of WebDriver (W3C) that is needed, by names of its commands.

use serde_json::{Value, json};

use crate::chromium::Chromium;
use crate::firefox::Firefox;

pub(crate) struct Browser {
    program: Program,
    origin: String,
}

enum Program {
    Chromium(Chromium),
    Firefox(Firefox),
}

impl Browser {
    pub(crate) async fn chromium(origin: &str) -> Self {
        Self { program: Program::Chromium(Chromium::start().await), origin: origin.to_owned() }
    }

    pub(crate) async fn firefox(origin: &str) -> Self {
        Self { program: Program::Firefox(Firefox::start().await), origin: origin.to_owned() }
    }

    /// Goes to a page of the site.
    pub(crate) async fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.origin);
        self.command("Navigate", json!({ "url": url })).await;
    }

    pub(crate) async fn reload(&mut self) {
        self.command("Refresh", json!({})).await;
    }

    pub(crate) async fn back(&mut self) {
        self.command("Back", json!({})).await;
    }

    /// Fills in the form of the page that goes to `action`, sends it, and gives the status of the answer.
    pub(crate) async fn send(&mut self, action: &str, value: &str) -> u64 {
        let script = format!(
            "const form = document.querySelector('form[action=\"{action}\"]');
            const input = form.querySelector('input');
            if (input) input.value = '{value}';
            const body = new URLSearchParams(new FormData(form));
            return fetch(form.action, {{ method: 'POST', body }}).then(answer => answer.status)"
        );
        self.script(&script).await.as_u64().unwrap()
    }

    /// Gives the name of the user that the page greets, and the lengths of what is in the cart.
    pub(crate) async fn shop(&mut self) -> (String, Vec<u64>) {
        let script = "return [document.querySelector('b').innerText,
            [...document.querySelectorAll('li')].map(item => item.innerText.length)]";
        serde_json::from_value(self.script(script).await).unwrap()
    }

    pub(crate) async fn script(&mut self, script: &str) -> Value {
        self.command("ExecuteScript", json!({ "script": script, "args": [] })).await
    }

    /// Gives all cookies of the page, those that scripts do not see too.
    pub(crate) async fn cookies(&mut self) -> Vec<Value> {
        self.command("GetCookies", Value::Null).await.as_array().unwrap().clone()
    }

    pub(crate) async fn names(&mut self) -> Vec<String> {
        let cookies = self.cookies().await;
        let mut names: Vec<String> =
            cookies.iter().map(|cookie| cookie["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub(crate) async fn tab(&mut self) -> String {
        self.command("GetWindowHandle", Value::Null).await.as_str().unwrap().to_owned()
    }

    pub(crate) async fn new_tab(&mut self) -> String {
        let created = self.command("NewWindow", json!({ "type": "tab" })).await;
        let tab = created["handle"].as_str().unwrap().to_owned();
        self.switch_to(&tab).await;
        tab
    }

    pub(crate) async fn switch_to(&mut self, tab: &str) {
        self.command("SwitchToWindow", json!({ "handle": tab })).await;
    }

    async fn command(&mut self, name: &str, parameters: Value) -> Value {
        match &mut self.program {
            Program::Chromium(chromium) => chromium.command(name, &parameters).await,
            Program::Firefox(firefox) => firefox.command(name, parameters).await,
        }
    }
}
