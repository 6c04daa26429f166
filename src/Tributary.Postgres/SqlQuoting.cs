namespace Tributary.Postgres;

/// <summary>
/// Quoting for text that becomes part of an SQL statement.
/// Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
/// </summary>
public static class SqlQuoting
{
    /// <summary>Always quotes, so that keywords, capitals and any character are safe.</summary>
    public static string Identifier(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        RefuseNul(name);
        return $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    public static string Qualified(string schema, string name) => $"{Identifier(schema)}.{Identifier(name)}";

    /// <summary>A string constant; the escape form is used when a backslash is present, so the server's setting does not matter.</summary>
    public static string Literal(string value)
    {
        ArgumentNullException.ThrowIfNull(value);
        RefuseNul(value);
        var quoted = value.Replace("'", "''", StringComparison.Ordinal);
        return quoted.Contains('\\', StringComparison.Ordinal)
            ? $"E'{quoted.Replace("\\", "\\\\", StringComparison.Ordinal)}'"
            : $"'{quoted}'";
    }

    // Postgres ends a C string at NUL, so a name that holds one would be cut and could name another object.
    static void RefuseNul(string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException("Postgres text cannot hold a NUL character.", nameof(text));
    }
}
