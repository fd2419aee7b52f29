#!/bin/sh
# Packs a sessions folder into a tar file, reading only. Arguments: the folder, the tar file.
# Files and folders alone: the bot would write through a link into the source. No other user may read the copy.
set -eu
cd "$1"
links=$(find . ! -type f ! -type d | wc -l)
[ "$links" -eq 0 ] || echo "left out, neither file nor folder: $links"
umask 077
# posix: with the fractions of a second of the times.
find . -mindepth 1 \( -type f -o -type d \) -print0 |
  tar --create --file="$2" --format=posix --mode=u=rwX,go= --no-recursion --null --files-from=-
