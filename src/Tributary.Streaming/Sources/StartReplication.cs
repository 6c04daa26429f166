using System.Text;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// The START_REPLICATION command with the options of pgoutput that the server's version knows; an unknown one would be an error.
/// Source: https://www.postgresql.org/docs/current/protocol-logical-replication.html#PROTOCOL-LOGICAL-REPLICATION-PARAMS and
/// parse_output_parameters in src/backend/replication/pgoutput/pgoutput.c.
/// </summary>
internal static class StartReplication
{
    /// <summary>The first version that sends values in binary.</summary>
    public const int BinaryLeast = 14;

    public static string Command(StreamOptions options, int serverMajor, Lsn after, bool binary)
    {
        var command = new StringBuilder($"START_REPLICATION SLOT {SqlQuoting.Identifier(options.SlotName)} LOGICAL {after} (");
        command.AppendJoin(", ", PluginOptions(options, serverMajor, binary).Select(option => $"{SqlQuoting.Identifier(option.Name)} {Quoted(option.Value)}"));
        return command.Append(')').ToString();
    }

    static IEnumerable<(string Name, string Value)> PluginOptions(StreamOptions options, int serverMajor, bool binary)
    {
        yield return ("proto_version", serverMajor >= 16 ? "4" : serverMajor >= 15 ? "3" : serverMajor >= 14 ? "2" : "1");
        yield return ("publication_names", SqlQuoting.Identifier(options.PublicationName));
        if (serverMajor >= 14)
            yield return ("messages", "true");
        if (serverMajor >= 14 && options.StreamsOpenTransactions)
            yield return ("streaming", "on");
        if (binary)
            yield return ("binary", "true");
        if (serverMajor >= 16 && options.LocalChangesOnly)
            yield return ("origin", "none");
    }

    // A string of the replication grammar knows no backslash: src/backend/replication/repl_scanner.l.
    static string Quoted(string value) => $"'{value.Replace("'", "''", StringComparison.Ordinal)}'";
}
