#!/bin/sh
# Lays out the app afresh, whatever was there: its git origin, its checkout one commit behind, and beside it two folders
# that stay with their dependencies: one that the simulated network runs from (the newest commit), and one of the
# commit before. Says which of these lack their dependencies.
# Arguments: tar file with bot/ and previous/, origin, branch, checkout, network's folder, previous commit's folder,
# and what else of the run before has to go.
set -eu
package=$1 origin=$2 branch=$3 checkout=$4 network=$5 previous=$6
shift 6

# None of the user's own settings: hooks, signing, templates.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
# A sandbox need not outlive a power cut.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=core.fsync GIT_CONFIG_VALUE_0=none
export GIT_AUTHOR_NAME='Bot developers' GIT_AUTHOR_EMAIL=bot@example.com
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"

source=$origin.source
# Out of the way at once, and gone in a while: the thousands of files of two node_modules take seconds.
# The checkout's own folder stays: on a server the one above is not the app user's.
gone=$(mktemp -d "$origin.gone.XXXXXX")
for old in "$source" "$origin" "$@"; do
  [ ! -e "$old" ] || mv "$old" "$gone"
done
mkdir -p "$checkout" "$gone/checkout"
find "$checkout" -mindepth 1 -maxdepth 1 -exec mv -t "$gone/checkout" {} +
nice rm -rf "$origin".gone.* </dev/null >/dev/null 2>&1 &
mkdir -p -m 0700 "$source/work"
tar --extract --file="$package" --directory="$source" --no-same-owner
rm "$package"

publish() { # date, message
  # Read every file anew: two of one size, age and inode, copied within a second, are one to git's index.
  git -C "$source/work" read-tree --empty
  git -C "$source/work" add --all
  GIT_AUTHOR_DATE=$1 GIT_COMMITTER_DATE=$1 git -C "$source/work" commit --quiet --message="$2"
  git -C "$source/work" push --quiet "$origin" "HEAD:refs/heads/$branch"
}

empty() { # folder, name that stays
  mkdir -p "$1"
  find "$1" -mindepth 1 -maxdepth 1 ! -name "$2" -exec rm -rf {} +
}

keep() { # folder, commit's files, name
  # npm writes this file last: where it is, an installation is whole.
  if ! cmp -s "$2/package-lock.json" "$1/package-lock.json" || ! [ -e "$1/node_modules/.package-lock.json" ]; then
    echo "$3"
  fi
  empty "$1" node_modules
  tar --create --directory="$2" --exclude=./.git . | tar --extract --directory="$1"
}

git init --quiet --initial-branch="$branch" "$source/work"
git init --quiet --bare --initial-branch="$branch" "$origin"
cp -a "$source/bot/." "$source/previous/." "$source/work"
publish 2025-10-06T09:00:00Z 'The login in files, or in the database'
git clone --quiet --branch="$branch" "$origin" "$checkout"
keep "$previous" "$source/work" previous

empty "$source/work" .git
cp -a "$source/bot/." "$source/work"
publish 2025-10-07T09:00:00Z 'Context cache, and newer dependencies'
keep "$network" "$source/bot" network
rm -rf "$source"
