#!/bin/sh
# Lays out, from a folder with bot/ and previous/: the app's git origin, its checkout one commit behind,
# and a copy that the simulated network runs from. Says "install" when that copy lacks its dependencies.
# Arguments: that folder, origin, branch, checkout, folder of the network.
set -eu
source=$1 origin=$2 branch=$3 checkout=$4 network=$5

# None of the user's own settings: hooks, signing, templates.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME='Bot developers' GIT_AUTHOR_EMAIL=bot@example.com
export GIT_COMMITTER_NAME="$GIT_AUTHOR_NAME" GIT_COMMITTER_EMAIL="$GIT_AUTHOR_EMAIL"

work=$source/work
git init --quiet --initial-branch="$branch" "$work"
git init --quiet --bare --initial-branch="$branch" "$origin"

publish() { # date, message
  git -C "$work" add --all
  GIT_AUTHOR_DATE=$1 GIT_COMMITTER_DATE=$1 git -C "$work" commit --quiet --message="$2"
  git -C "$work" push --quiet "$origin" "HEAD:refs/heads/$branch"
}

cp -a "$source/bot/." "$work"
cp -a "$source/previous/." "$work"
publish 2025-10-06T09:00:00Z 'The login in files, or in the database'
git clone --quiet --branch="$branch" "$origin" "$checkout"

find "$work" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
cp -a "$source/bot/." "$work"
publish 2025-10-07T09:00:00Z 'Context cache, and newer dependencies'

mkdir -p "$network"
# npm writes this file last: where it is, an installation is whole.
if ! cmp -s "$source/bot/package-lock.json" "$network/package-lock.json" ||
  ! [ -e "$network/node_modules/.package-lock.json" ]; then
  echo install
fi
find "$network" -mindepth 1 -maxdepth 1 ! -name node_modules -exec rm -rf {} +
cp -a "$source/bot/." "$network"
rm -rf "$source"
