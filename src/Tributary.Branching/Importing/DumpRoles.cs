using System.Text;
using System.Text.RegularExpressions;

namespace Tributary.Branching.Importing;

/// <summary>
/// The roles that a dump gives things to. pg_dump writes each of these commands on one line (dumpACL and _printTocEntry in src/bin/pg_dump); a dump
/// holds no roles itself, since those are the cluster's.
/// </summary>
internal static partial class DumpRoles
{
    /// <summary>No command that names a role is longer; of a longer line, which is data or a function's body, only the beginning is looked at.</summary>
    const int LineCharsMax = 64 * 1024;

    const string Role = """(?<role>(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*))""";

    static readonly string[] NoRoles = ["public", "current_user", "current_role", "session_user"];

    /// <param name="sql">Plain SQL by pg_dump or pg_restore.</param>
    public static IReadOnlySet<string> Find(TextReader sql)
    {
        var roles = new SortedSet<string>(StringComparer.Ordinal);
        var isData = false;
        while (ReadLine(sql) is { } line)
        {
            if (isData)
                isData = line != "\\.";
            else if (line.StartsWith("COPY ", StringComparison.Ordinal) && line.EndsWith(" FROM stdin;", StringComparison.Ordinal))
                isData = true;
            else
                roles.UnionWith(Named(line));
        }

        return roles;
    }

    static IEnumerable<string> Named(string line) => Commands().Match(line) is { Success: true } found
        ? found.Groups["role"].Captures.Select(role => Unquoted(role.Value)).Where(role => !NoRoles.Contains(role) && !role.StartsWith("pg_", StringComparison.Ordinal))
        : [];

    static string Unquoted(string name) => name[0] is '"' or '\'' ? name[1..^1].Replace("\"\"", "\"", StringComparison.Ordinal) : name.ToLowerInvariant();

    static string? ReadLine(TextReader reader)
    {
        var line = new StringBuilder();
        var any = false;
        int next;
        while ((next = reader.Read()) >= 0)
        {
            any = true;
            if (next == '\n')
                break;
            if (next != '\r' && line.Length < LineCharsMax)
                line.Append((char)next);
        }

        return any ? line.ToString() : null;
    }

    [GeneratedRegex($"""
        ^(?:
          ALTER\ DEFAULT\ PRIVILEGES\ FOR\ ROLE\ {Role}\ .*\ (?:TO|FROM)\ {Role}(?:\ WITH\ GRANT\ OPTION)?;
        | ALTER\ .*\ OWNER\ TO\ {Role};
        | GRANT\ .*\ TO\ {Role}(?:\ WITH\ GRANT\ OPTION)?(?:\ GRANTED\ BY\ {Role})?;
        | REVOKE\ .*\ FROM\ {Role}(?:\ GRANTED\ BY\ {Role})?;
        | SET\ SESSION\ AUTHORIZATION\ (?:{Role}|(?<role>'[^']+'));
        | CREATE\ POLICY\ .*?\ TO\ {Role}(?:,\ {Role})*(?:\ USING.*|\ WITH\ CHECK.*)?;
        )$
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.CultureInvariant)]
    private static partial Regex Commands();
}
