/* One row a format, sorted by name. */
X(json)
X(junit)
X(markdown)
X(text)
