using System.Globalization;
using System.Text;
using Npgsql;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// Builds the statement of a run. Values travel as <c>text[]</c>, one array a column, and become the column's type by the same input function
/// that reads a dump, so that every type comes out as it went in.
/// </summary>
internal static class ApplyStatements
{
    public static NpgsqlBatchCommand Build(ApplyRun run, string sql)
    {
        var command = new NpgsqlBatchCommand(sql);
        if (run.Shape.Kind == RunKind.Truncate)
            return command;
        var table = run.Shape.Table;
        if (run.Shape.Kind is RunKind.Insert or RunKind.Update or RunKind.UpdateKey or RunKind.UpdateWhole)
            AddColumns(command, run, Written(run.Shape), located => located.Change.New);
        switch (run.Shape.Kind)
        {
            case RunKind.Update:
                // The new row may lack a large key that did not change; the old row has it then.
                AddColumns(command, run, table.Key, located => located.Change.Old.IsEmpty ? located.Change.New : located.Change.Old);
                break;
            case RunKind.UpdateKey or RunKind.Delete:
                AddColumns(command, run, table.Key, located => located.Change.Old);
                break;
            case RunKind.UpdateWhole or RunKind.DeleteWhole:
                AddColumns(command, run, Whole(table), located => located.Change.Old);
                break;
        }

        return command;
    }

    public static string Sql(ApplyRun run)
    {
        var shape = run.Shape;
        var table = shape.Table;
        switch (shape.Kind)
        {
            case RunKind.Insert:
                {
                    var columns = Written(shape);
                    // Postgres has no column list for a table without columns.
                    return columns.Count == 0
                        ? $"INSERT INTO {table.Name} DEFAULT VALUES"
                        : $"INSERT INTO {table.Name} ({List(columns, i => table.Columns[i].Name)}) " +
                          $"SELECT {Values(table, columns, 0)} FROM {Unnest(columns.Count)}";
                }

            case RunKind.Update or RunKind.UpdateKey:
                {
                    var columns = Written(shape);
                    return $"UPDATE ONLY {table.Name} AS t SET {Assignments(table, columns)} " +
                           $"FROM (SELECT {Values(table, [.. columns, .. table.Key], 0, named: true)} FROM {Unnest(columns.Count + table.Key.Length)}) AS v " +
                           $"WHERE {KeyMatches(table, columns.Count)}";
                }

            case RunKind.Delete:
                return $"DELETE FROM ONLY {table.Name} AS t USING " +
                       $"(SELECT {Values(table, table.Key, 0, named: true)} FROM {Unnest(table.Key.Length)}) AS v WHERE {KeyMatches(table, 0)}";
            case RunKind.UpdateWhole:
                {
                    var columns = Written(shape);
                    return $"UPDATE ONLY {table.Name} AS t SET {Assignments(table, columns)} " +
                           $"FROM (SELECT {Values(table, columns, 0, named: true)} FROM {Unnest(columns.Count)}) AS v WHERE t.ctid = {WholeRow(table, columns.Count)}";
                }

            case RunKind.DeleteWhole:
                return $"DELETE FROM ONLY {table.Name} AS t WHERE t.ctid = {WholeRow(table, 0)}";
            default:
                return Truncate(run.Changes[0].Change.Truncation!);
        }
    }

    /// <summary>Whether a run of this kind writes the column, if the source sent it.</summary>
    public static bool IsWritten(TargetTable table, int column, RunKind kind) => !table.Columns[column].IsGenerated && kind switch
    {
        RunKind.Update => !table.Key.Contains(column),
        _ => true,
    };

    static List<int> Written(RunShape shape)
    {
        if (shape.Columns.Length > 0)
            return [.. shape.Columns.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        return [.. Enumerable.Range(0, shape.Table.Columns.Length).Where(i => IsWritten(shape.Table, i, shape.Kind))];
    }

    static List<int> Whole(TargetTable table) => [.. Enumerable.Range(0, table.Columns.Length).Where(i => !table.Columns[i].IsGenerated)];

    static void AddColumns(NpgsqlBatchCommand command, ApplyRun run, IReadOnlyList<int> columns, Func<LocatedChange, RowImage> rowOf)
    {
        var arrays = new ReadOnlyMemory<byte>?[columns.Count][];
        for (var c = 0; c < columns.Count; c++)
            arrays[c] = new ReadOnlyMemory<byte>?[run.Changes.Count];
        for (var row = 0; row < run.Changes.Count; row++)
        {
            var reader = rowOf(run.Changes[row]).Read();
            var next = 0;
            for (var i = 0; next < columns.Count && reader.Next(); i++)
            {
                if (i != columns[next])
                    continue;
                // Left at null otherwise. A conditional expression with null would go through byte[] and become the empty string.
                if (reader.Kind == ValueKind.Text)
                    arrays[next][row] = reader.Value;
                next++;
            }
        }

        foreach (var array in arrays)
            command.Parameters.Add(new NpgsqlParameter<ReadOnlyMemory<byte>?[]> { TypedValue = array, DataTypeName = "text[]" });
    }

    static string List(IReadOnlyList<int> columns, Func<int, string> text) => string.Join(", ", columns.Select(text));

    static string Unnest(int count)
    {
        var numbers = Enumerable.Range(0, count);
        return $"unnest({string.Join(", ", numbers.Select(i => $"${i + 1}"))}) AS u({string.Join(", ", numbers.Select(i => $"c{i}"))})";
    }

    static string Values(TargetTable table, IReadOnlyList<int> columns, int first, bool named = false)
    {
        var values = new StringBuilder();
        for (var i = 0; i < columns.Count; i++)
        {
            values.Append(i == 0 ? "" : ", ").Append(CultureInfo.InvariantCulture, $"u.c{first + i}::{table.Columns[columns[i]].TypeName}");
            if (named)
                values.Append(CultureInfo.InvariantCulture, $" AS c{first + i}");
        }

        return values.ToString();
    }

    static string Assignments(TargetTable table, List<int> columns) =>
        string.Join(", ", columns.Select((column, i) => $"{table.Columns[column].Name} = v.c{i}"));

    static string KeyMatches(TargetTable table, int first) =>
        string.Join(" AND ", table.Key.Select((column, i) => $"t.{table.Columns[column].Name} = v.c{first + i}"));

    // Compared as text, since not every type has an equality; the value passes through its type, so that both sides are printed alike.
    static string WholeRow(TargetTable table, int first)
    {
        var conditions = Whole(table).Select((column, i) =>
            $"w.{table.Columns[column].Name}::text IS NOT DISTINCT FROM (${first + i + 1}::text[])[1]::{table.Columns[column].TypeName}::text");
        return $"(SELECT w.ctid FROM ONLY {table.Name} AS w WHERE {string.Join(" AND ", conditions)} LIMIT 1)";
    }

    // All tables that the source emptied are named, so CASCADE could only reach tables that the source does not have.
    static string Truncate(TableTruncation truncation) =>
        $"TRUNCATE ONLY {string.Join(", ONLY ", truncation.Tables)}{(truncation.RestartIdentity ? " RESTART IDENTITY" : "")}";
}
