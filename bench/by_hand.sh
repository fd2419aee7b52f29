#!/usr/bin/env bash
# The runbook as a plain script on the server, given to `bash -s` over SSH: it checks what the runbook checks, and has no way
# back. Says when each step begins.
# Arguments: company, phone, and the original's way as base64. Environment: DATABASE_URL.
set -euo pipefail
company=$1 phone=$2 original_way=$3
export PATH=/home/bot/programs/bin:$PATH PM2_HOME=/home/bot/.pm2 BOT=/opt/ai-admin
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
bot=http://127.0.0.1:3100
cd "$BOT"

step() { printf '%s %s\n' "$EPOCHREALTIME" "$1"; }
ask() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(r.Request(*sys.argv[1:2], *map(str.encode, sys.argv[2:]))).read().decode())' "$@" 2>&1; }
until_said() { until cat "$PM2_HOME"/logs/*-out.log | grep -q "$1"; do sleep 0.2; done; }

step 'git pull'
git pull --quiet
step 'npm ci'
npm ci --silent --no-audit --no-fund
step 'SQL migration'
node -e "const pg = require('pg'), client = new pg.Client({ connectionString: process.env.DATABASE_URL });
client.connect().then(() => client.query(require('fs').readFileSync('test/schema.sql', 'utf8'))).then(() => client.end())"
step 'back up and migrate'
base64 --decode <<<"$original_way" >.migrate.mjs
node .migrate.mjs "baileys_sessions/company_$company" baileys_sessions_backup "$company" >/dev/null
rm .migrate.mjs
step 'flag'
echo USE_DATABASE_AUTH_STATE=true >>.env
step 'restart'
pm2 restart ai-admin-worker-v2 baileys-service >/dev/null
step 'logs'
until_said 'Using database auth state'
until_said 'Starting automatic cleanup'
step 'test message'
ask "$bot/send" "{\"phone\": \"$phone\", \"message\": \"a test\", \"company_id\": \"$company\"}" >/dev/null
until ask "$bot/last-response?phone=$phone&company_id=$company" | grep -q 'Answer to'; do sleep 0.2; done
step 'end'
