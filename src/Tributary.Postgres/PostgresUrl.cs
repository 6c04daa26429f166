using System.Globalization;
using System.Text;

namespace Tributary.Postgres;

/// <summary>
/// Where a Postgres database is and as whom to enter it: <c>postgresql://user:password@host:port/database?sslmode=require</c>.
/// Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
/// <see cref="ToString"/> leaves the password out, so that a log line or an error cannot hold it.
/// </summary>
public sealed record PostgresUrl
{
    public const int DefaultPort = 5432;

    static readonly string[] SslModes = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

    /// <summary>A host name, an address, or the absolute folder of a Unix socket.</summary>
    public required string Host { get; init; }

    public bool IsUnixSocket => Host.StartsWith('/');

    public int Port { get; init; } = DefaultPort;

    public required string User { get; init; }

    public string? Password { get; init; }

    public required string Database { get; init; }

    /// <summary>One of libpq's <c>sslmode</c> values; default <c>prefer</c>.</summary>
    public string SslMode { get; init; } = "prefer";

    /// <summary>A file of the authorities that may sign the server's certificate, as libpq's <c>sslrootcert</c>; null for its default places.</summary>
    public string? SslRootCert { get; init; }

    /// <summary>Reads a URL; on failure says what is wrong with it without repeating a password.</summary>
    public static bool TryParse(string text, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out PostgresUrl? url, out string error)
    {
        url = null;
        if (!text.StartsWith("postgresql://", StringComparison.Ordinal) && !text.StartsWith("postgres://", StringComparison.Ordinal))
        {
            error = "a Postgres URL starts with postgresql:// (for example postgresql://user:password@host:5432/database)";
            return false;
        }

        var rest = text[(text.IndexOf("//", StringComparison.Ordinal) + 2)..];
        var question = rest.IndexOf('?', StringComparison.Ordinal);
        var query = question < 0 ? "" : rest[(question + 1)..];
        rest = question < 0 ? rest : rest[..question];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var authority = slash < 0 ? rest : rest[..slash];
        var database = slash < 0 ? "" : Uri.UnescapeDataString(rest[(slash + 1)..]);
        var at = authority.LastIndexOf('@');
        var userInfo = at < 0 ? "" : authority[..at];
        var colon = userInfo.IndexOf(':', StringComparison.Ordinal);
        var user = Uri.UnescapeDataString(colon < 0 ? userInfo : userInfo[..colon]);
        if (!TrySplitHost(authority[(at + 1)..], out var host, out var port, out error))
            return false;
        var parsed = new PostgresUrl
        {
            Host = host,
            Port = port,
            User = user,
            Password = colon < 0 ? null : Uri.UnescapeDataString(userInfo[(colon + 1)..]),
            Database = database,
        };
        return TryApplyQuery(parsed, query, out url, out error) && TryComplete(ref url, out error);
    }

    /// <summary>The same as an Npgsql connection string.</summary>
    /// <param name="applicationName">Shown in <c>pg_stat_activity</c>, so that an operator sees who is connected.</param>
    public string ToNpgsql(string applicationName = "tributary")
    {
        var builder = new System.Data.Common.DbConnectionStringBuilder
        {
            ["Host"] = Host,
            ["Port"] = Port,
            ["Username"] = User,
            ["Database"] = Database,
            ["Application Name"] = applicationName,
            ["SSL Mode"] = SslMode switch { "verify-ca" => "VerifyCA", "verify-full" => "VerifyFull", _ => SslMode },
        };
        if (Password is not null)
            builder["Password"] = Password;
        if (SslRootCert is not null)
            builder["Root Certificate"] = SslRootCert;
        return builder.ConnectionString;
    }

    /// <summary>The same as libpq's environment variables, for <c>pg_dump</c> and its kin: arguments would show the password to every user.</summary>
    public IReadOnlyDictionary<string, string> ToEnvironment()
    {
        var environment = new Dictionary<string, string>
        {
            ["PGHOST"] = Host,
            ["PGPORT"] = Port.ToString(CultureInfo.InvariantCulture),
            ["PGUSER"] = User,
            ["PGDATABASE"] = Database,
            ["PGSSLMODE"] = SslMode,
            ["PGAPPNAME"] = "tributary",
        };
        if (Password is not null)
            environment["PGPASSWORD"] = Password;
        if (SslRootCert is not null)
            environment["PGSSLROOTCERT"] = SslRootCert;
        return environment;
    }

    /// <summary>The URL without its password.</summary>
    public override string ToString() => Text("");

    /// <summary>The whole URL with its password, which reads back as this one: for a file that only its owner may read.</summary>
    public string ToSecretText()
    {
        string[] options =
        [
            .. SslMode == "prefer" ? Array.Empty<string>() : [$"sslmode={SslMode}"],
            .. SslRootCert is null ? Array.Empty<string>() : [$"sslrootcert={Uri.EscapeDataString(SslRootCert)}"],
        ];
        var text = Text(Password is null ? "" : $":{Uri.EscapeDataString(Password)}");
        return options is [] ? text : $"{text}{(IsUnixSocket ? '&' : '?')}{string.Join('&', options)}";
    }

    string Text(string password)
    {
        var text = new StringBuilder("postgresql://").Append(Uri.EscapeDataString(User)).Append(password).Append('@');
        if (IsUnixSocket)
            return text.Append('/').Append(Uri.EscapeDataString(Database)).Append($"?host={Uri.EscapeDataString(Host)}&port={Port}").ToString();
        var host = Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host;
        return text.Append(host).Append(':').Append(Port).Append('/').Append(Uri.EscapeDataString(Database)).ToString();
    }

    static bool TrySplitHost(string text, out string host, out int port, out string error)
    {
        error = "";
        port = DefaultPort;
        var portText = "";
        if (text.StartsWith('[') && text.IndexOf(']', StringComparison.Ordinal) is var end and > 0)
        {
            host = text[1..end];
            portText = text[(end + 1)..].TrimStart(':');
        }
        else
        {
            var colon = text.LastIndexOf(':');
            host = Uri.UnescapeDataString(colon < 0 ? text : text[..colon]);
            portText = colon < 0 ? "" : text[(colon + 1)..];
        }

        if (host.Contains(',', StringComparison.Ordinal))
            error = "several hosts in one URL are not supported; name the primary";
        else if (portText.Length > 0 && !(int.TryParse(portText, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535))
            error = "the port must be a number from 1 to 65535";
        return error.Length == 0;
    }

    static bool TryApplyQuery(PostgresUrl parsed, string query, out PostgresUrl? url, out string error)
    {
        error = "";
        foreach (var pair in query.Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            var key = equals < 0 ? pair : pair[..equals];
            var value = equals < 0 ? "" : Uri.UnescapeDataString(pair[(equals + 1)..]);
            switch (key)
            {
                case "host":
                    parsed = parsed with { Host = value };
                    break;
                case "port" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535:
                    parsed = parsed with { Port = port };
                    break;
                case "user":
                    parsed = parsed with { User = value };
                    break;
                case "password":
                    parsed = parsed with { Password = value };
                    break;
                case "dbname":
                    parsed = parsed with { Database = value };
                    break;
                case "sslmode" when SslModes.Contains(value):
                    parsed = parsed with { SslMode = value };
                    break;
                case "sslmode":
                    error = $"sslmode must be one of {string.Join(", ", SslModes)}";
                    break;
                case "sslrootcert" when value.Length > 0:
                    parsed = parsed with { SslRootCert = value };
                    break;
                case "application_name" or "connect_timeout" or "target_session_attrs":
                    break;
                default:
                    error = $"the URL parameter '{key}' is not supported (host, port, user, password, dbname, sslmode, sslrootcert are)";
                    break;
            }
        }

        url = error.Length == 0 ? parsed : null;
        return url is not null;
    }

    static bool TryComplete(ref PostgresUrl? url, out string error)
    {
        error = url switch
        {
            { User.Length: 0 } => "the URL names no user (postgresql://USER@host/database)",
            { Host.Length: 0 } => "the URL names no host (postgresql://user@HOST/database)",
            _ => "",
        };
        if (error.Length > 0)
            url = null;
        else if (url!.Database.Length == 0)
            url = url with { Database = url.User };
        return url is not null;
    }
}
