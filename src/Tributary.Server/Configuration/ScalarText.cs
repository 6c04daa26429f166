using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace Tributary.Server.Configuration;

/// <summary>Reads the small languages of values: sizes, durations, addresses, references to the environment. Each answers what it expects on failure.</summary>
static partial class ScalarText
{
    /// <summary>Postgres cuts a slot's name to 63 bytes and refuses other characters: https://www.postgresql.org/docs/current/warm-standby.html#STREAMING-REPLICATION-SLOTS</summary>
    [GeneratedRegex("^[a-z0-9_]{1,63}$")]
    public static partial Regex SlotName();

    /// <summary>The name of a stream: with <c>tributary_</c> before it, it names a slot and a publication.</summary>
    [GeneratedRegex("^[a-z0-9_]{1,40}$")]
    public static partial Regex StreamName();

    [GeneratedRegex(@"^[1-9][0-9]*(kB|MB|GB)$")]
    public static partial Regex PostgresMemory();

    [GeneratedRegex(@"\$\$\{|\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(?<fallback>:-(?<default>[^}]*))?\}")]
    private static partial Regex Reference();

    /// <summary>Puts the environment's values in for <c>${NAME}</c> and <c>${NAME:-default}</c>; <c>$${</c> stands for itself.</summary>
    public static string Expand(string text, Func<string, string?> environment, Action<string> missing) => Reference().Replace(text, match =>
    {
        if (match.Value == "$${")
            return "${";
        var name = match.Groups["name"].Value;
        if (environment(name) is { } value)
            return value;
        if (match.Groups["fallback"].Success)
            return match.Groups["default"].Value;
        missing(name);
        return "";
    });

    public static bool TryBytes(string text, out long bytes)
    {
        bytes = 0;
        var digits = text.TakeWhile(c => char.IsAsciiDigit(c)).Count();
        int? shift = text[digits..] switch { "B" or "" => 0, "KiB" => 10, "MiB" => 20, "GiB" => 30, "TiB" => 40, _ => null };
        if (shift is not { } bits || !long.TryParse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number > long.MaxValue >> bits)
            return false;
        bytes = number << bits;
        return true;
    }

    public static bool TryEndPoint(string text, out IPEndPoint? endPoint)
    {
        endPoint = null;
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > 65535)
            return false;
        var host = text[..colon];
        if (host == "localhost")
            host = "127.0.0.1";
        // A bare IPv6 address holds colons of its own, so it must be in brackets.
        if ((host.Contains(':') && !host.StartsWith('[')) || !IPAddress.TryParse(host.Trim('[', ']'), out var address))
            return false;
        endPoint = new IPEndPoint(address, port);
        return true;
    }
}
