# Makes the server's data in the current folder, with the roles that standard input makes, one statement a line.
# Arguments: initdb, postgres. Data that exist are whole: they get their name last.
set -eu
rm -rf data.new
"$1" --pgdata=data.new --username=postgres --auth=trust --encoding=UTF8 --no-locale >/dev/null
# Nobody comes in without a password, from the first start on.
sed -i 's/trust$/scram-sha-256/' data.new/pg_hba.conf
# In the database that each new one is a copy of.
"$2" --single -D data.new template1 >/dev/null
mv data.new data
