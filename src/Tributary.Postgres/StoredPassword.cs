namespace Tributary.Postgres;

/// <summary>
/// The password of a URL that names none, from where libpq takes it: <c>PGPASSWORD</c>, then the file <c>PGPASSFILE</c> or <c>~/.pgpass</c>.
/// Source: https://www.postgresql.org/docs/current/libpq-pgpass.html
/// </summary>
public static class StoredPassword
{
    /// <summary>Null when neither the URL nor any of these places has one.</summary>
    public static string? Find(PostgresUrl url)
    {
        if (url.Password is { } given)
            return given;
        if (Environment.GetEnvironmentVariable("PGPASSWORD") is { Length: > 0 } password)
            return password;
        var file = Environment.GetEnvironmentVariable("PGPASSFILE") is { Length: > 0 } named
            ? named
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".pgpass");
        return File.Exists(file) ? Find(File.ReadLines(file), url) : null;
    }

    /// <summary>The password of the first line that fits; its five fields are parted by colons, and a backslash escapes one.</summary>
    internal static string? Find(IEnumerable<string> lines, PostgresUrl url)
    {
        string[] wanted = [url.Host, $"{url.Port}", url.Database, url.User];
        return lines.Where(line => !line.StartsWith('#')).Select(Fields)
            .FirstOrDefault(fields => fields.Count == 5 && wanted.Index().All(want => fields[want.Index] == "*" || fields[want.Index] == want.Item))?[4];
    }

    static List<string> Fields(string line)
    {
        var fields = new List<string> { "" };
        for (var i = 0; i < line.Length; i++)
        {
            if (line[i] == ':' && fields.Count < 5)
                fields.Add("");
            else
                fields[^1] += line[i] == '\\' && i + 1 < line.Length ? line[++i] : line[i];
        }

        return fields;
    }
}
