using System.Text;
using Tributary.Contracts;

namespace Tributary.Server.Configuration;

/// <summary>Writes a configuration for the first time, as a file that explains each of its lines to whoever opens it later.</summary>
public static class ConfigurationWriter
{
    /// <param name="configuration">With branching.</param>
    /// <param name="proposal">Its reasons are told above the section that they decide.</param>
    /// <param name="sourceUrl">Production's URL as it is to be read: with its password, or a reference to the environment.</param>
    /// <param name="path">Where the file is to be; told in it.</param>
    public static string Text(TributaryConfiguration configuration, FollowingProposalResponse proposal, string sourceUrl, string path)
    {
        var branching = configuration.Branching ?? throw new ArgumentException("A configuration without branching has nothing to explain.", nameof(configuration));
        var text = new StringBuilder();
        text.Append("# Tributary's configuration, written by 'tributary connect'. Every key: docs/tributary.schema.json\n");
        text.Append($"# Start it: tributary up --detach -c {path}\n# Stop it: tributary down -c {path}\n# Remove all of it: tributary destroy -c {path}\n\n");
        text.Append("# Everything that Tributary keeps here: the pool with main and the branches, the catalog, keys, the API's socket, the log.\n");
        text.Append($"state: {Quoted(configuration.StateDirectory)}\n\n");
        text.Append("# Production. Its data is read and never written. A URL that must not be in this file can be in one of its own ('url-file'),\n");
        text.Append("# or in the environment ('url: ${NAME}').\n");
        text.Append($"source:\n  url: {(IsReference(sourceUrl) ? $"\"{sourceUrl}\"" : Quoted(sourceUrl))}\n\n");
        text.Append($"# Branches. Main follows production by {proposal.Mode} replication:\n");
        foreach (var reason in proposal.Reasons)
            text.Append($"# - {reason}\n");
        text.Append("branching:\n");
        text.Append($"  following: {proposal.Mode}\n");
        text.Append("  # The pool is a sparse file, so that this is a limit and not a use: main takes as much as production, and a branch what it writes.\n");
        text.Append($"  pool-size: {branching.PoolBytesMax >> 30}GiB\n");
        text.Append("  # The replication slot on production by which it keeps its log for main. One that nobody reads keeps the log until the disk is\n");
        text.Append("  # full: 'tributary destroy' drops it, and max_slot_wal_keep_size on production bounds it.\n");
        text.Append($"  slot: {branching.SlotName}\n");
        text.Append("  # A branch without connections for this long is put to sleep; the next connection wakes it.\n");
        text.Append($"  idle-timeout: {branching.IdleTimeout.TotalSeconds:0}s\n\n");
        text.Append("# Where branches are reached. Another machine reaches them when this is an address of its network; then set tls-certificate and\n");
        text.Append("# tls-key too.\n");
        text.Append($"gateway:\n  listen: {Quoted(configuration.Gateway.Listen.ToString())}\n");
        return text.ToString();
    }

    /// <summary>Writes the file, readable by its owner only; it may hold a password.</summary>
    /// <param name="replace">Takes the place of a file that exists; otherwise that is a failure.</param>
    /// <exception cref="IOException">The file exists, or cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">This user may not write there.</exception>
    public static void WriteFile(string path, string text, bool replace)
    {
        // A file that exists keeps its mode and its readers when it is opened again, so the new one is made apart and put in its place.
        var draft = $"{path}.{Environment.ProcessId}";
        using (var file = new FileStream(draft, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
        }

        try
        {
            File.Move(draft, path, replace);
        }
        catch
        {
            File.Delete(draft);
            throw;
        }
    }

    static bool IsReference(string text) => text.StartsWith("${", StringComparison.Ordinal) && text.EndsWith('}');

    // YAML's double quotes (https://yaml.org/spec/1.2.2/#731-double-quoted-style); "$${" is what the reader takes for "${".
    static string Quoted(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("${", "$${", StringComparison.Ordinal)}\"";
}
