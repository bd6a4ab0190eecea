//! A job's way as bars on a terminal: a line for the job, a bar for each image, one for all.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::meter::Meters;
use super::sums::sums;
use crate::cli::report::{Report, arrived, whole};
use crate::cli::shown::{about, clean, size};
use crate::job::name::Bytes;
use crate::job::status::ImageStatus;

/// No more images have a bar: a terminal has few lines. Those that are not done come first.
const MOST: usize = 16;
/// Width of an image's name.
const NAME: usize = 28;

/// The bars that are drawn.
pub struct Bars {
    screen: MultiProgress,
    head: ProgressBar,
    images: Vec<ProgressBar>,
    all: ProgressBar,
}

impl Bars {
    /// Nothing is drawn yet.
    pub fn new() -> Self {
        let screen = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let head = screen.add(ProgressBar::new(0).with_style(style("{msg}")));
        let all = screen.add(ProgressBar::new(0).with_style(style("{msg}")));
        Self { screen, head, images: Vec::new(), all }
    }

    /// Draws how things are.
    pub fn draw(&mut self, report: &Report, meters: &Meters) {
        self.head.set_message(head(report));
        let shown = shown(&report.images);
        while self.images.len() > shown.len() {
            if let Some(bar) = self.images.pop() {
                self.screen.remove(&bar);
            }
        }
        while self.images.len() < shown.len() {
            let bar = ProgressBar::new(0).with_style(style("  {prefix} [{bar:24}] {msg}"));
            self.images.push(self.screen.insert_before(&self.all, bar));
        }
        for (bar, image) in self.images.iter().zip(shown) {
            bar.set_prefix(name(&image.dataset));
            set(bar, arrived(image), whole(image));
            bar.set_message(way(image));
        }
        let (come, of) = report.totals();
        if let Some(sums) = sums(report, meters) {
            let hidden = report.images.len().saturating_sub(MOST);
            let more = if hidden == 0 { String::new() } else { format!(" ({hidden} more images)") };
            self.all.set_style(style("  {prefix} [{bar:24}] {msg}"));
            self.all.set_prefix(format!("{:<NAME$}", "in all"));
            set(&self.all, come, of);
            self.all.set_message(format!("{sums}{more}"));
        }
        self.head.tick();
    }

    /// Leaves what was drawn last.
    pub fn leave(&self) {
        for bar in self.images.iter().chain([&self.head, &self.all]) {
            bar.abandon();
        }
    }
}

/// Templates are constants; one that can't be read would show indicatif's own bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// An image of no bytes that has arrived is a full bar.
fn set(bar: &ProgressBar, come: Bytes, of: Bytes) {
    bar.set_length(of.0.max(1));
    bar.set_position(if come == of { of.0.max(1) } else { come.0 });
}

/// The job's line.
fn head(report: &Report) -> String {
    let mut text = format!("{}  {}", report.job, report.step);
    if let Some(seconds) = report.outage_seconds {
        text.push_str(&format!("  outage {}", about(std::time::Duration::from_secs(seconds))));
    }
    for (what, said) in [
        ("alert", &report.alert),
        ("set aside", &report.fault),
        ("waiting", &report.waiting),
        ("error", &report.error),
    ] {
        if let Some(said) = said {
            text.push_str(&format!("\n  {what}: {}", clean(said)));
        }
    }
    text
}

/// The images that have a bar, in the order in which they travel.
fn shown(images: &[ImageStatus]) -> Vec<&ImageStatus> {
    let mut room = MOST;
    let mut chosen = vec![false; images.len()];
    for wanted in [false, true] {
        for (image, chosen) in images.iter().zip(&mut chosen) {
            if room > 0 && image.done == wanted {
                *chosen = true;
                room -= 1;
            }
        }
    }
    images.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(image, _)| image).collect()
}

/// A dataset's name in a fixed width: of a long one its end, which tells it from its siblings.
fn name(dataset: &str) -> String {
    let name = clean(dataset);
    let length = name.chars().count();
    if length <= NAME {
        return format!("{name:<NAME$}");
    }
    let end: String = name.chars().skip(length - NAME + 1).collect();
    format!("…{end}")
}

/// How far along its way an image is.
fn way(image: &ImageStatus) -> String {
    if image.done {
        return format!("{} verified", size(whole(image)));
    }
    let mut text = format!("{} of {}", size(image.received), size(whole(image)));
    // The target knows nothing of these two.
    if image.sent.0 > 0 {
        text.push_str(&format!(", sent {}, copied {}", size(image.sent), size(image.copied)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(dataset: &str, done: bool) -> ImageStatus {
        ImageStatus { dataset: dataset.into(), done, ..ImageStatus::default() }
    }

    #[test]
    fn of_many_images_those_that_still_move_have_the_bars() {
        let mut images: Vec<_> = (0..20).map(|n| image(&format!("done{n}"), true)).collect();
        images.extend((0..10).map(|n| image(&format!("moves{n}"), false)));
        let shown: Vec<_> = shown(&images).iter().map(|image| image.dataset.as_str()).collect();
        assert_eq!(shown.len(), MOST);
        assert_eq!(shown[..7], ["done0", "done1", "done2", "done3", "done4", "done5", "moves0"]);
        assert_eq!(shown[15], "moves9");
    }

    #[test]
    fn a_long_name_shows_its_end() {
        assert_eq!(name("data/db").len(), NAME);
        let long = name("data/zones/dbbackup/tank/mysql/replica-2");
        assert!(long.ends_with("mysql/replica-2") && long.chars().count() == NAME, "{long}");
    }

    #[test]
    fn the_jobs_line_says_what_hinders_it_and_can_not_be_driven() {
        let report = Report {
            job: "j".into(),
            step: "send",
            outage_seconds: Some(3_700),
            waiting: Some("a\u{1b}[2J".into()),
            ..Report::default()
        };
        assert_eq!(head(&report), "j  send  outage 1h1m\n  waiting: a\\u{1b}[2J");
    }
}
