using Npgsql;
using Tributary.Streaming.Targets.Postgres.Ddl;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// The changes of the schema in a transaction that is on disk. Its pieces are read once before, since the first rows of a table may come before the
/// description of the command that created it (CREATE TABLE AS): then the command is run when the first of them comes.
/// </summary>
internal sealed class LargeSchema(NpgsqlConnection connection, string pipeline, DdlApply ddl, Transaction transaction)
{
    readonly List<SchemaReport> _reports = [];
    readonly Dictionary<uint, string> _creations = [];
    readonly HashSet<string> _early = [];

    public long Commands { get; private set; }

    public IReadOnlyList<SchemaReport>? Reports => _reports.Count > 0 ? _reports : null;

    public async Task<LargeSchema> PrepareAsync(CancellationToken cancellationToken)
    {
        ddl.Reset();
        await CopiedObjects.BeginRecordAsync(connection, cancellationToken);
        var seen = new HashSet<uint>();
        await foreach (var piece in transaction.ReadPiecesAsync(cancellationToken))
        {
            foreach (var change in piece)
            {
                if (change.Schema is null)
                {
                    seen.Add(change.Table.RelationId);
                    continue;
                }

                foreach (var created in change.Schema.CreatedRelations())
                {
                    if (seen.Contains(created))
                        _creations[created] = change.Schema.Json;
                }
            }
        }

        return this;
    }

    public async Task WriteAsync(PieceWriter writer, IReadOnlyList<Change> piece, bool careful, CancellationToken cancellationToken)
    {
        var rows = new List<Change>();
        foreach (var change in piece)
        {
            var schema = change.Schema;
            if (schema is null && _creations.Remove(change.Table.RelationId, out var json) && _early.Add(json))
                await ApplyAsync(new SchemaChange("CREATE TABLE AS", json));
            if (schema is null)
                rows.Add(change);
            else if (!_early.Contains(schema.Json))
                await ApplyAsync(schema);
        }

        await FlushAsync();

        async Task ApplyAsync(SchemaChange schema)
        {
            await FlushAsync();
            await ddl.ApplyAsync(schema, transaction.CommitEndLsn, (int)Math.Min(int.MaxValue, Commands), _reports, cancellationToken);
            Commands++;
            writer.Forget();
        }

        async Task FlushAsync()
        {
            if (rows.Count == 0)
                return;
            await ddl.FinishAsync(cancellationToken);
            await writer.WriteAsync(rows, careful, cancellationToken);
            rows = [];
        }
    }

    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        await ddl.FinishAsync(cancellationToken);
        await CopiedObjects.EndRecordAsync(connection, pipeline, cancellationToken);
        await SchemaReportTable.AddAsync(connection, pipeline, _reports, cancellationToken);
    }
}
