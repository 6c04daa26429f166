using Npgsql;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Descriptions;

/// <summary>
/// Brings a table of the target into the shape that a description shows, inside the target's open transaction.
/// 1. Find what the target has of the table, and with which of the source's numbers. 2. Find the numbers of the described columns.
/// 3. Rename the table, alter its columns. 4. Record the shape.
/// Where the description and the source's catalog leave a doubt, it stops: a guess could leave old values in a new column.
/// </summary>
internal sealed class DescriptionApply(NpgsqlConnection connection, StreamOptions options, FollowedTables followed)
{
    readonly List<TableShape> _taken = [];

    /// <summary>What the open transaction has taken over.</summary>
    public IReadOnlyList<TableShape> Taken => _taken;

    public void Reset() => _taken.Clear();

    /// <summary>Answers whether anything had to be done.</summary>
    /// <exception cref="StreamException">Kind Schema: the target cannot follow, or there is a doubt.</exception>
    public async Task<bool> ApplyAsync(TableSchema described, uint xid, Lsn position, long sequence, List<SchemaReport> reports, CancellationToken cancellationToken)
    {
        StreamException Stop(string why, string wayBack) => new(
            StreamErrorKind.Schema,
            $"The stream cannot carry a change of the source's table {described}: {why}. Position: transaction that ends at {position}, change {sequence + 1}. {wayBack} " +
            "Way back otherwise: 'tributary stream destroy --drop-copied', then start the stream again; it copies everything anew.");

        // Step 1: without a table, its rows will say so.
        var source = await followed.Catalog.ReadAsync(described, xid, cancellationToken);
        var recorded = await TableShapeRecords.FindAsync(connection, options.Name, described.RelationId, cancellationToken);
        if (await FindAsync(described, recorded, Stop, cancellationToken) is not var (target, name))
            return false;
        var before = recorded ?? target.Numbered(described, source);

        // Step 2.
        var numbers = before is null ? null : ColumnNumbers.Find(
            before, described, source, number => followed.IsDroppedBefore(described.RelationId, number, position));
        if (before is null || numbers is null)
            throw Stop(Doubt(before, described, source, target), ByHand(described));

        // Step 3.
        var plan = new DescribedSteps(before, described, numbers, source, target).Plan();
        if (plan.Refusal is { } refusal)
            throw Stop(refusal, ByHand(described));
        var steps = TableSteps(described, name).ToList();
        var columnSteps = plan.Steps;
        if (steps.Count > 0)
        {
            foreach (var step in steps)
                await RunAsync(step, Stop, cancellationToken);
            // The columns were read under the name that the table had.
            target = await TargetShape.ReadAsync(connection, described.Schema, described.Name, cancellationToken) ?? target;
            columnSteps = new DescribedSteps(before, described, numbers, source, target).Plan().Steps;
        }

        foreach (var step in columnSteps)
        {
            if (step.IsEssential)
                await RunAsync(step, Stop, cancellationToken);
            else if (await TryAsync(step, cancellationToken) is { } failure)
                reports.Add(new SchemaReport(position, "RELATION", step.Subject, $"its default is refused by the target: {LostLink.Describe(failure)}"));
        }

        reports.AddRange(plan.Reports.Select(report => new SchemaReport(position, "RELATION", report.Subject, report.Why)));

        // Step 4.
        var shape = new TableShape(
            described.RelationId, described.Schema, described.Name,
            [.. described.Columns.Select((column, i) => new ShapeColumn(numbers[i], column.Name, column.TypeId, column.TypeModifier))]);
        await TableShapeRecords.SaveAsync(connection, options.Name, shape, cancellationToken);
        _taken.Add(shape);
        return steps.Count + columnSteps.Count > 0;
    }

    async Task<(TargetShape Target, (string Schema, string Name) At)?> FindAsync(
        TableSchema described, TableShape? recorded, Func<string, string, StreamException> stop, CancellationToken cancellationToken)
    {
        var there = await TargetShape.ReadAsync(connection, described.Schema, described.Name, cancellationToken);
        var other = await TableShapeRecords.FindByNameAsync(connection, options.Name, described.Schema, described.Name, cancellationToken);
        if (there is not null && other is not null && other.RelationId != described.RelationId)
        {
            throw stop(
                "the source has given its name to another table than the target's table of that name holds the rows of",
                $"Rename the target's table as the source's was, or drop it, and run there: DELETE FROM tributary.table_shape WHERE pipeline = {SqlQuoting.Literal(options.Name)} AND relation_id = {other.RelationId};" +
                " Create the new table with its rows, then start the stream again; it goes on where it stopped.");
        }

        if (there is not null)
        {
            if (recorded is null || (recorded.Schema == described.Schema && recorded.Name == described.Name))
                return (there, (described.Schema, described.Name));
            return await TargetShape.ReadAsync(connection, recorded.Schema, recorded.Name, cancellationToken) is null
                ? (there, (described.Schema, described.Name))
                : throw stop($"it was {SqlQuoting.Qualified(recorded.Schema, recorded.Name)} before, and the target has tables of both names", "Rename or drop one of them, then start the stream again.");
        }

        if (recorded is null || await TargetShape.ReadAsync(connection, recorded.Schema, recorded.Name, cancellationToken) is not { } old)
            return null;
        return (old, (recorded.Schema, recorded.Name));
    }

    static IEnumerable<DescribedStep> TableSteps(TableSchema described, (string Schema, string Name) at)
    {
        var (subject, schema) = ($"table {described}", at.Schema);
        if (schema != described.Schema)
        {
            yield return new DescribedStep($"ALTER TABLE {SqlQuoting.Qualified(schema, at.Name)} SET SCHEMA {SqlQuoting.Identifier(described.Schema)}", subject);
            schema = described.Schema;
        }

        if (at.Name != described.Name)
            yield return new DescribedStep($"ALTER TABLE {SqlQuoting.Qualified(schema, at.Name)} RENAME TO {SqlQuoting.Identifier(described.Name)}", subject);
    }

    async Task RunAsync(DescribedStep step, Func<string, string, StreamException> stop, CancellationToken cancellationToken)
    {
        try
        {
            await using var batch = new NpgsqlBatch(connection) { BatchCommands = { new NpgsqlBatchCommand(step.Sql) } };
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            throw stop(
                $"the target refuses it for {step.Subject}: {LostLink.Describe(exception)}",
                "Make there what it lacks (a type, a schema), or drop what is in the way (a view on the column), or do the change there by hand; then start the stream again, and it goes on where it stopped.");
        }
    }

    async Task<PostgresException?> TryAsync(DescribedStep step, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteAsync("SAVEPOINT tributary_default", cancellationToken);
            await using var batch = new NpgsqlBatch(connection) { BatchCommands = { new NpgsqlBatchCommand(step.Sql) } };
            await batch.ExecuteNonQueryAsync(cancellationToken);
            await ExecuteAsync("RELEASE SAVEPOINT tributary_default", cancellationToken);
            return null;
        }
        catch (PostgresException exception) when (!LostLink.Is(exception))
        {
            await ExecuteAsync("ROLLBACK TO SAVEPOINT tributary_default", cancellationToken);
            return exception;
        }
    }

    async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    static string Doubt(TableShape? before, TableSchema described, SourceTable source, TargetShape target)
    {
        var had = before is null ? target.Columns.Select(static column => column.Name) : before.Columns.Select(static column => column.Name);
        var has = source.Columns.Values.Where(static column => !column.IsDropped).OrderBy(static column => column.Number).Select(static column => column.Name);
        return $"the target has the columns ({Names(had)}), the rows now come with ({Names(described.Columns.Select(static column => column.Name))}), and the source has ({Names(has)}) by now. " +
            "That leaves open which columns are the same, renamed, or dropped and added again";
    }

    string ByHand(TableSchema described) =>
        $"To go on, alter the target's table as the source's was by this position, and run at the target: DELETE FROM tributary.table_shape WHERE pipeline = {SqlQuoting.Literal(options.Name)} AND relation_id = {described.RelationId};" +
        " then start the stream again. It takes the columns by their names, and goes on where it stopped. That is right only if the source has not changed these columns again behind the position.";

    static string Names(IEnumerable<string> columns) => string.Join(", ", columns.Select(SqlQuoting.Identifier));
}
