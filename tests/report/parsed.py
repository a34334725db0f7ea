"""What a parser that is not ours finds in a page."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with their attributes, and text by the tag that was opened last before it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def under(self, tag: str) -> list[str]:
        """Texts right behind such tags."""
        return [data for name, data in self.texts if name == tag]

    @property
    def text(self) -> str:
        """All text but the style sheet, with single spaces."""
        return " ".join(" ".join(data for tag, data in self.texts if tag != "style").split())
