# A section of the changelog as Artifact Hub's list of changes: a kind and a description each, as YAML.
# The input is what `changelog_section` prints.
function flush() {
  if (text == "") return
  # A link to a page of this project leads nowhere from there.
  while (match(text, /\[[^]]*\]\([^)]*\)/)) {
    link = substr(text, RSTART, RLENGTH)
    label = substr(link, 2, index(link, "](") - 2)
    text = substr(text, 1, RSTART - 1) label substr(text, RSTART + RLENGTH)
  }
  gsub(/'/, "''", text)
  printf "- kind: %s\n  description: '%s'\n", kind, text
  text = ""
}
/^### / { flush(); kind = tolower($2); next }
/^- / { flush(); text = substr($0, 3); next }
NF { line = $0; sub(/^ +/, "", line); if (text != "") text = text " " line }
END { flush() }
