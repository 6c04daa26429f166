using System.Collections.Concurrent;
using Npgsql;
using Tributary.Postgres;
using Tributary.Streaming.Copying.Ddl;

namespace Tributary.Streaming.Copying;

/// <summary>
/// Copies a Postgres database as of the position at which its slot begins.
/// 1. Publish the source's tables: what is changed from now on can be decoded.
/// 2. Refuse a target that holds tables of the same names; install the event triggers that describe changes of the schema from now on.
/// 3. Create the slot; it exports the snapshot of its own position, which lasts as long as the connection is left alone.
/// 4. Make the schema without indexes and constraints.
/// 5. Copy the rows, several tables at a time; those whose rows were gone before an earlier attempt came to them go first.
/// 6. Make indexes, constraints and triggers.
/// 7. Carry the sequences' values, and let the target gather statistics.
/// </summary>
internal sealed class InitialCopy(StreamOptions options, TimeProvider time, FollowedTables? followed = null) : IInitialCopy
{
    readonly ConcurrentDictionary<uint, bool> _first = [];

    public async Task RefuseOthersAsync(CancellationToken cancellationToken)
    {
        await using var source = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} check"), cancellationToken);
        await using var target = await SessionSettings.OpenAsync(SessionSettings.ConnectionString(options.Target, $"tributary {options.Name} check"), cancellationToken);
        await SourceSlot.RefuseOthersAsync(source, options, cancellationToken);
        await Publication.EnsureAsync(source, options, cancellationToken);
        await RefuseTakenNamesAsync(target, await CopyTable.ListAsync(source, options.PublicationName, cancellationToken), cancellationToken);
    }

    public async Task<Lsn> RunAsync(Checkpoint copying, ICopyProgress progress, CancellationToken cancellationToken)
    {
        var sourceConnection = SessionSettings.ConnectionString(options.Source, $"tributary {options.Name} copy");
        var targetConnection = SessionSettings.ConnectionString(
            options.Target, $"tributary {options.Name} copy", "-c session_replication_role=replica -c synchronous_commit=off");
        await using var source = await SessionSettings.OpenAsync(sourceConnection, cancellationToken);
        await using var target = await SessionSettings.OpenAsync(targetConnection, cancellationToken);
        progress.SchemaStarted();

        // Step 1: before the slot, since a publication that is younger than a change does not cover it.
        await Publication.EnsureAsync(source, options, cancellationToken);
        var tables = await CopyTable.ListAsync(source, options.PublicationName, cancellationToken);

        // Step 2.
        await RefuseTakenNamesAsync(target, tables, cancellationToken);
        var hasTriggers = await DdlCapture.InstallAsync(source, options, time, cancellationToken);

        // Step 3: a slot that is left from an unfinished copy begins too early, before the snapshot that can still be had.
        await SourceSlot.DropAsync(source, options.SlotName, cancellationToken);
        await using var slot = await ExportedSlot.CreateAsync(source, options, time, cancellationToken);
        var snapshot = slot.Snapshot;

        // Step 4.
        var fence = new CopyFence(options.Name, copying.Epoch);
        var schema = new SchemaCopy(options, SchemaCopy.ProgramsFor(source.PostgreSqlVersion.Major), fence);
        await schema.RestoreBeforeRowsAsync(await schema.DumpAsync("pre-data", snapshot, cancellationToken), cancellationToken);
        var afterRows = await schema.DumpAsync("post-data", snapshot, cancellationToken);

        // Step 5: the list is read again under the snapshot, as a table may have come between.
        tables = await ListUnderSnapshotAsync(source, target, snapshot, hasTriggers, cancellationToken);
        progress.RowsStarted(tables.Count, tables.Sum(table => table.RowsEstimated));
        var rows = new RowCopy(sourceConnection, targetConnection, snapshot, fence, progress);
        await Parallel.ForEachAsync(
            tables, new ParallelOptions { MaxDegreeOfParallelism = options.CopyTablesMax, CancellationToken = cancellationToken },
            async (table, token) => await CopyRowsAsync(rows, table, token));

        // Step 6.
        await schema.RestoreAsync(afterRows, cancellationToken);

        // Step 7.
        await SequenceCopy.RunAsync(source, target, fence, cancellationToken);
        await using var analyze = new NpgsqlCommand("ANALYZE", target);
        await analyze.ExecuteNonQueryAsync(cancellationToken);
        progress.Finished();
        return slot.Position;
    }

    async Task<IReadOnlyList<CopyTable>> ListUnderSnapshotAsync(
        NpgsqlConnection source, NpgsqlConnection target, string snapshot, bool hasTriggers, CancellationToken cancellationToken)
    {
        await using var transaction = await source.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellationToken);
        await using var command = new NpgsqlCommand($"SET TRANSACTION SNAPSHOT '{snapshot}'", source, transaction);
        await command.ExecuteNonQueryAsync(cancellationToken);
        // Without event triggers the numbers of the columns at this moment are what later descriptions are compared with.
        var shapes = hasTriggers || options.Schema == SchemaMode.None
            ? [] : await TableShapeRecords.ReadSourceAsync(source, options.PublicationName, cancellationToken);
        await TableShapeRecords.ReplaceAsync(target, options.Name, shapes, cancellationToken);
        followed?.Load(shapes);
        var tables = await CopyTable.ListAsync(source, options.PublicationName, cancellationToken);
        return [.. tables.OrderByDescending(table => _first.ContainsKey(table.Oid))];
    }

    // A table that is emptied every few minutes would otherwise never be met in time beside large ones.
    async Task CopyRowsAsync(RowCopy rows, CopyTable table, CancellationToken cancellationToken)
    {
        try
        {
            await rows.CopyAsync(table, cancellationToken);
        }
        catch (SnapshotRowsGoneException)
        {
            _first[table.Oid] = true;
            throw;
        }
    }

    async Task RefuseTakenNamesAsync(NpgsqlConnection target, IReadOnlyList<CopyTable> tables, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT name FROM unnest($1) AS name WHERE pg_catalog.to_regclass(name) IS NOT NULL LIMIT 4", target)
        { Parameters = { new() { Value = tables.Select(table => table.Name).ToArray() } } };
        var taken = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
            taken.Add(reader.GetString(0));
        if (taken.Count > 0)
        {
            throw new StreamException(
                StreamErrorKind.Target,
                $"The target {options.Target} already holds tables that the source has too ({string.Join(", ", taken.Take(3))}{(taken.Count > 3 ? " and more" : "")}), " +
                "and this stream did not make them. Nothing was changed. Name an empty database as the target, or drop these tables first.");
        }
    }
}
