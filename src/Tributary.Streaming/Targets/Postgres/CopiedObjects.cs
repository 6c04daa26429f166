using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// What the copy of the schema made in the target, recorded in the transaction that made it, so that an unfinished copy can be taken back
/// without touching anything else.
/// </summary>
internal static class CopiedObjects
{
    // An SQLSTATE of our own: objects of somebody else would go too.
    const string OthersDepend = "TB001";

    /// <summary>
    /// Drops what the stream's copy made, all or nothing. A recorded object that has since got another name, or whose name another object has,
    /// is a user's by now and stays.
    /// </summary>
    /// <exception cref="StreamException">Something that the copy did not make depends on what it made, or the target refuses; nothing was dropped.</exception>
    public static async Task DropAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken)
    {
        await using var transaction = await target.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(DropSql(SqlQuoting.Literal(pipeline)), target, transaction);
        try
        {
            await command.ExecuteNonQueryAsync(cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            throw new StreamException(
                StreamErrorKind.Target,
                exception.SqlState == OthersDepend
                    ? $"What an earlier copy of the stream '{pipeline}' made in the target cannot be removed, since objects that the copy did not make depend on it: " +
                      $"{exception.MessageText}. Nothing was changed. Drop or move these objects, then start again."
                    : $"What an earlier copy of the stream '{pipeline}' made in the target cannot be removed: {LostLink.Describe(exception)}. Nothing was changed.");
        }
    }

    /// <summary>Remembers, in the open transaction, what there is before commands of the source's are carried.</summary>
    public static Task BeginRecordAsync(NpgsqlConnection target, CancellationToken cancellationToken) => ExecuteAsync(
        target, "CREATE TEMPORARY TABLE tributary_before ON COMMIT DROP AS SELECT classid, objid FROM tributary.user_object", cancellationToken);

    /// <summary>Records what has been made since as the stream's own.</summary>
    public static Task EndRecordAsync(NpgsqlConnection target, string pipeline, CancellationToken cancellationToken) => ExecuteAsync(
        target,
        $"""
        INSERT INTO tributary.copied_object (pipeline, classid, objid, kind, identity)
        SELECT {SqlQuoting.Literal(pipeline)}, made.classid, made.objid, i.type, i.identity
        FROM (SELECT classid, objid FROM tributary.user_object EXCEPT SELECT classid, objid FROM pg_temp.tributary_before) made,
            LATERAL pg_catalog.pg_identify_object(made.classid, made.objid, 0) i
        ON CONFLICT DO NOTHING
        """, cancellationToken);

    static async Task ExecuteAsync(NpgsqlConnection target, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, target);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    // Dropping in an order that satisfies every dependency cannot be had where objects depend on each other in a circle, so each drop cascades,
    // and the catalogs before and after tell whether anything else went with it: then an error undoes all of it.
    static string DropSql(string pipeline) =>
        $"""
        SET LOCAL client_min_messages = warning;
        CREATE TEMPORARY TABLE tributary_copied ON COMMIT DROP AS
            SELECT c.classid, c.objid, c.kind, c.identity FROM tributary.copied_object c JOIN tributary.user_object o USING (classid, objid),
                LATERAL pg_catalog.pg_identify_object(c.classid, c.objid, 0) i
            WHERE c.pipeline = {pipeline} AND (i.type, i.identity) = (c.kind, c.identity);
        CREATE TEMPORARY TABLE tributary_others ON COMMIT DROP AS
            SELECT o.classid, o.objid, 0 AS objsubid, NULL::oid AS relation, i.type || ' ' || i.identity AS name
            FROM tributary.user_object o, LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
            WHERE (o.classid, o.objid) NOT IN (SELECT classid, objid FROM pg_temp.tributary_copied)
                -- A sequence that belongs to a column goes with it.
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE (d.classid, d.objid) = (o.classid, o.objid) AND d.deptype = 'a')
            UNION ALL
            SELECT p.classid, p.objid, p.objsubid, p.relation, i.type || ' ' || i.identity
            FROM tributary.user_object_part p, LATERAL pg_catalog.pg_identify_object(p.classid, p.objid, p.objsubid) i
            WHERE p.relation NOT IN (SELECT objid FROM pg_temp.tributary_copied WHERE classid = 'pg_catalog.pg_class'::regclass);
        DO $drop$
        DECLARE
            copied record;
            gone text;
        BEGIN
            FOR copied IN SELECT replace(kind, '-', ' ') AS kind, identity FROM pg_temp.tributary_copied ORDER BY kind = 'extension', kind = 'schema' LOOP
                EXECUTE format('DROP %s IF EXISTS %s CASCADE', copied.kind, copied.identity);
            END LOOP;
            SELECT string_agg(name, ', ') INTO gone FROM (
                SELECT o.name FROM pg_temp.tributary_others o
                WHERE CASE WHEN o.relation IS NULL
                    THEN (o.classid, o.objid) NOT IN (SELECT classid, objid FROM tributary.user_object)
                    ELSE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = o.relation)
                        AND (o.classid, o.objid, o.objsubid) NOT IN (SELECT classid, objid, objsubid FROM tributary.user_object_part)
                    END
                ORDER BY o.relation IS NOT NULL, o.name LIMIT 5) harmed;
            IF gone IS NOT NULL THEN
                RAISE EXCEPTION USING ERRCODE = '{OthersDepend}', MESSAGE = gone;
            END IF;
            DELETE FROM tributary.copied_object WHERE pipeline = {pipeline};
        END
        $drop$;
        """;
}
