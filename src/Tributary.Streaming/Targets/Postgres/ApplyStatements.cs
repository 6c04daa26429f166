using System.Globalization;
using System.Text;

namespace Tributary.Streaming.Targets.Postgres;

/// <summary>
/// The SQL of a run. Values travel as arrays, one a column. Text becomes the column's type by the same input function that reads a dump, binary
/// by the function that reads a binary COPY, so that every type comes out as it went in.
/// <c>unnest</c> stands in the select list, not in FROM: there each array would be put into a store of its own first (ExecMakeTableFunctionResult
/// in src/backend/executor/execSRF.c).
/// </summary>
/// <param name="written">Columns whose new values are written; their parameters come first.</param>
/// <param name="found">Columns of the old row that find it.</param>
/// <param name="formats">One character a parameter: <c>t</c> for text, <c>b</c> for binary.</param>
/// <param name="single">Whether a parameter is one value instead of an array.</param>
internal sealed class ApplyStatements(RunShape shape, int[] written, int[] found, string formats, bool single)
{
    readonly TargetTable _table = shape.Table;

    /// <summary>The columns of an update that it writes, as a <see cref="RunShape"/> names them; null when there are none.</summary>
    public static string? WrittenColumns(TargetTable table, RowImage row, RunKind kind)
    {
        var all = true;
        var any = false;
        var reader = row.Read();
        for (var i = 0; reader.Next(); i++)
        {
            if (!IsWritten(table, i, kind))
                continue;
            if (reader.Kind == ValueKind.Unchanged)
                all = false;
            else
                any = true;
        }

        if (!any)
            return null;
        if (all)
            return "";
        var columns = new StringBuilder();
        reader = row.Read();
        for (var i = 0; reader.Next(); i++)
        {
            if (reader.Kind != ValueKind.Unchanged && IsWritten(table, i, kind))
                columns.Append(i).Append(',');
        }

        return columns.ToString();
    }

    public static int[] Written(RunShape shape)
    {
        var table = shape.Table;
        if (shape.Kind is RunKind.Delete or RunKind.DeleteWhole)
            return [];
        if (shape.Columns.Length > 0)
            return [.. shape.Columns.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(text => int.Parse(text, CultureInfo.InvariantCulture))];
        return [.. Enumerable.Range(0, table.Columns.Length).Where(i => IsWritten(table, i, shape.Kind))];
    }

    public static int[] Found(RunShape shape) => shape.Kind switch
    {
        RunKind.Insert => [],
        RunKind.UpdateWhole or RunKind.DeleteWhole => [.. Enumerable.Range(0, shape.Table.Columns.Length).Where(i => !shape.Table.Columns[i].IsGenerated)],
        _ => shape.Table.KeyColumns,
    };

    // All tables that the source emptied are named, so CASCADE could only reach tables that the source does not have.
    public static string Truncate(ApplyRun run) =>
        $"TRUNCATE {string.Join(", ", run.Emptied.Select(table => table.Only + table.Name))}" +
        (run.Rows[0].Located.Change.Truncation!.RestartIdentity ? " RESTART IDENTITY" : "");

    public static string Copy(TargetTable table, int[] columns, ValueKind kind) =>
        $"COPY {table.Name} ({string.Join(", ", columns.Select(i => table.Columns[i].Name))}) FROM STDIN{(kind == ValueKind.Binary ? " (FORMAT binary)" : "")}";

    public string Sql() => shape.Kind switch
    {
        // Postgres has no column list for a table without columns.
        RunKind.Insert when written.Length == 0 => $"INSERT INTO {_table.Name} DEFAULT VALUES",
        RunKind.Insert =>
            $"INSERT INTO {_table.Name} ({string.Join(", ", written.Select(i => _table.Columns[i].Name))}) OVERRIDING SYSTEM VALUE SELECT {Values()} FROM {Rows()}",
        RunKind.Update or RunKind.UpdateKey =>
            $"UPDATE {_table.Only}{_table.Name} AS t SET {Assignments()} FROM (SELECT {Values()} FROM {Rows()}) AS v WHERE {KeyMatches()}",
        RunKind.Delete => $"DELETE FROM {_table.Only}{_table.Name} AS t USING (SELECT {Values()} FROM {Rows()}) AS v WHERE {KeyMatches()}",
        RunKind.UpdateWhole =>
            $"UPDATE {_table.Only}{_table.Name} AS t SET {Assignments()} FROM (SELECT {Values()} FROM {Rows()}) AS v WHERE {Place("t")} = {WholeRow()}",
        _ => $"DELETE FROM {_table.Only}{_table.Name} AS t WHERE {Place("t")} = {WholeRow()}",
    };

    static bool IsWritten(TargetTable table, int column, RunKind kind) =>
        !table.Columns[column].IsGenerated && (kind != RunKind.Update || !table.Columns[column].IsInKey);

    TargetColumn Column(int parameter) =>
        _table.Columns[parameter < written.Length ? written[parameter] : found[parameter - written.Length]];

    // A whole row is found by its values alone, outside the rows that are read.
    int ParametersOfRows => shape.Kind is RunKind.UpdateWhole or RunKind.DeleteWhole ? written.Length : written.Length + found.Length;

    string Rows() => $"(SELECT {string.Join(", ", Enumerable.Range(0, ParametersOfRows).Select(i => $"{(single ? Parameter(i) : $"unnest({Parameter(i)})")} AS c{i}"))}) AS u";

    string Parameter(int i)
    {
        var type = formats[i] == 't' ? "text" : Column(i).WireTypeName;
        return $"${i + 1}::{type}{(single ? "" : "[]")}";
    }

    string Values() => string.Join(", ", Enumerable.Range(0, ParametersOfRows).Select(i => $"u.c{i}::{Column(i).TypeName} AS c{i}"));

    string Assignments() => string.Join(", ", written.Select((column, i) => $"{_table.Columns[column].Name} = v.c{i}"));

    string KeyMatches() => string.Join(" AND ", found.Select((column, i) => $"t.{_table.Columns[column].Name} = v.c{written.Length + i}"));

    // Compared as text, since not every type has an equality; the value passes through its type, so that both sides are printed alike.
    string WholeRow()
    {
        var conditions = found.Select((column, i) =>
        {
            var parameter = Parameter(written.Length + i);
            return $"w.{_table.Columns[column].Name}::text IS NOT DISTINCT FROM {(single ? parameter : $"({parameter})[1]")}::{_table.Columns[column].TypeName}::text";
        });
        return $"(SELECT {Place("w", inRow: false)} FROM {_table.Only}{_table.Name} AS w WHERE {string.Join(" AND ", conditions)} LIMIT 1)";
    }

    // A place is unique within one partition only. Where there are none it stands alone, since only then the server goes straight to it.
    string Place(string row, bool inRow = true)
    {
        if (_table.Only.Length > 0)
            return $"{row}.ctid";
        return inRow ? $"({row}.tableoid, {row}.ctid)" : $"{row}.tableoid, {row}.ctid";
    }
}
