using Npgsql;
using Tributary.Postgres;

namespace Tributary.Branching.Seeding;

/// <summary>
/// The role that clients of a branch are. By <see cref="BranchingOptions.OwnerRights"/> it is a superuser, or it has what an application and its
/// migrations need and no more:
/// <list type="number">
/// <item>No other role is a superuser or reaches the server's files and programs, except the one that Tributary itself uses, which no client gets.</item>
/// <item>It has the rights of every role of production's, reads and writes all rows, and may make databases.</item>
/// <item>In each database it owns what a superuser owned, functions that run with their owner's rights included: one of those that ran as a superuser
/// on tables which are the owner's now would run the owner's triggers as a superuser. Event triggers that no extension has made are disabled, since
/// a trusted extension is made by a superuser, whose commands would fire them with functions which are the owner's.</item>
/// </list>
/// </summary>
internal sealed class OwnerRole(BranchingOptions options, SourceFacts facts)
{
    readonly string _name = SqlQuoting.Identifier(options.OwnerRole);
    readonly string _text = SqlQuoting.Literal(options.OwnerRole);

    /// <param name="connection">A session of the superuser on a primary of ours.</param>
    /// <exception cref="NpgsqlException">The server does not answer.</exception>
    public async Task MakeAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var isSuperuser = options.OwnerRights == OwnerRights.Superuser;
        await connection.ExecuteAsync(
            $"""
            DO $tributary$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {_text}) THEN
                    CREATE ROLE {_name};
                END IF;
            END $tributary$;
            ALTER ROLE {_name} LOGIN {(isSuperuser ? "SUPERUSER" : "NOSUPERUSER NOCREATEROLE NOREPLICATION CREATEDB INHERIT")};
            """, cancellationToken);
        if (isSuperuser)
            return;
        // Steps 1 and 2: roles.
        await connection.ExecuteAsync(Roles, cancellationToken);

        // Step 3: what superusers own.
        foreach (var database in await connection.DatabasesAsync(withTemplates: false, cancellationToken))
        {
            await using var session = await SuperuserCommand.OpenAsync(
                new NpgsqlConnectionStringBuilder(connection.ConnectionString) { Username = facts.Superuser, Database = database }.ConnectionString, cancellationToken);
            await session.ExecuteAsync(Objects, cancellationToken);
        }
    }

    // The superuser that initdb has made has the oid 10. A role that has been granted the owner's rights in production cannot be granted to it.
    string Roles =>
        $"""
        DO $tributary$
        DECLARE
            granted name;
        BEGIN
            UPDATE pg_catalog.pg_authid SET rolsuper = false, rolcreaterole = false, rolreplication = false
            WHERE oid <> 10 AND (rolsuper OR rolcreaterole OR rolreplication);
            DELETE FROM pg_catalog.pg_auth_members m USING pg_catalog.pg_authid r
            WHERE r.oid = m.roleid AND (r.oid = 10 OR r.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files'));
            FOR granted IN
                SELECT rolname FROM pg_catalog.pg_authid
                WHERE oid <> 10 AND rolname <> {_text} AND (rolname !~ '^pg_' OR rolname IN ('pg_monitor', 'pg_read_all_data', 'pg_signal_backend', 'pg_write_all_data'))
            LOOP
                BEGIN
                    EXECUTE pg_catalog.format('GRANT %I TO {_name}', granted);
                EXCEPTION WHEN invalid_grant_operation THEN
                    NULL;
                END;
            END LOOP;
        END $tributary$;
        """;

    // Members of an extension stay with it. What belongs to a table or a column goes with that: indexes, sequences of columns, row types.
    string Objects =>
        $"""
        SET search_path = '';
        DO $tributary$
        DECLARE
            command text;
        BEGIN
            FOR command IN
                SELECT pg_catalog.format('ALTER %s %s OWNER TO {_name}', o.kind, o.identity) FROM (
                    SELECT 'pg_catalog.pg_class'::regclass AS classid, c.oid AS objid, c.relnamespace AS space, c.relowner AS owner,
                        CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END AS kind,
                        c.oid::regclass::text AS identity
                    FROM pg_catalog.pg_class c
                    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') OR (c.relkind = 'S' AND NOT EXISTS (
                        SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))
                    UNION ALL
                    SELECT 'pg_catalog.pg_type'::regclass, t.oid, t.typnamespace, t.typowner, 'TYPE', t.oid::regtype::text
                    FROM pg_catalog.pg_type t WHERE t.typtype IN ('d', 'e', 'r')
                    UNION ALL
                    SELECT 'pg_catalog.pg_proc'::regclass, p.oid, p.pronamespace, p.proowner, 'ROUTINE', p.oid::regprocedure::text
                    FROM pg_catalog.pg_proc p
                    UNION ALL
                    SELECT 'pg_catalog.pg_namespace'::regclass, n.oid, n.oid, n.nspowner, 'SCHEMA', pg_catalog.quote_ident(n.nspname)
                    FROM pg_catalog.pg_namespace n
                    UNION ALL
                    SELECT 'pg_catalog.pg_database'::regclass, b.oid, NULL, b.datdba, 'DATABASE', pg_catalog.quote_ident(b.datname)
                    FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) o
                LEFT JOIN pg_catalog.pg_namespace s ON s.oid = o.space
                WHERE o.owner = 10 AND (s.oid IS NULL OR (s.nspname !~ '^pg_' AND s.nspname NOT IN ('information_schema', 'tributary')))
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e')
            LOOP
                EXECUTE command;
            END LOOP;
            FOR command IN
                SELECT pg_catalog.format('ALTER EVENT TRIGGER %I DISABLE', e.evtname) FROM pg_catalog.pg_event_trigger e
                WHERE e.evtenabled <> 'D' AND NOT EXISTS (
                    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
            LOOP
                EXECUTE command;
            END LOOP;
        END $tributary$;
        """;
}
