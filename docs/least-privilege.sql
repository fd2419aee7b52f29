-- A role that may move logins, and nothing else. The tables must be there (baileys_auth_schema, or the SQL migration).
--   psql "$DATABASE_URL" -v role=mover -v database=postgres -f docs/least-privilege.sql
GRANT CONNECT, TEMPORARY ON DATABASE :"database" TO :"role";
GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE
   ON public.whatsapp_auth, public.whatsapp_keys, public.whatsapp_auth_authority TO :"role";
GRANT EXECUTE ON FUNCTION public.get_whatsapp_auth_stats() TO :"role";
CREATE POLICY mover ON public.whatsapp_auth FOR ALL TO :"role" USING (true) WITH CHECK (true);
CREATE POLICY mover ON public.whatsapp_keys FOR ALL TO :"role" USING (true) WITH CHECK (true);
CREATE POLICY mover ON public.whatsapp_auth_authority FOR ALL TO :"role" USING (true) WITH CHECK (true);
