using Tributary.Postgres.Wire;

namespace Tributary.Gateway.Handshake;

/// <summary>
/// Agrees with a client on a minor version. A client that asks for more than is spoken here, or for protocol options, is told what it gets
/// and goes on with that.
/// Source: SendNegotiateProtocolVersion in src/backend/tcop/backend_startup.c.
/// </summary>
static class ProtocolNegotiation
{
    const string OptionPrefix = "_pq_.";

    /// <summary>The minor version of the session.</summary>
    public static int MinorOf(StartupMessage startup) => Math.Min(startup.Minor, StartupPacket.ProtocolMinor);

    public static bool IsOption(string parameter) => parameter.StartsWith(OptionPrefix, StringComparison.Ordinal);

    /// <summary>The message NegotiateProtocolVersion, or nothing when the client gets what it asked for.</summary>
    public static ReadOnlyMemory<byte> Answer(StartupMessage startup)
    {
        var unknown = startup.Parameters.Select(p => p.Key).Where(IsOption).ToList();
        if (startup.Minor <= StartupPacket.ProtocolMinor && unknown.Count == 0)
            return default;
        var writer = new FrameWriter().Begin((byte)'v').AddInt32((StartupPacket.ProtocolMajor << 16) | MinorOf(startup)).AddInt32(unknown.Count);
        foreach (var option in unknown)
            writer.AddText(option);
        return writer.End().Written;
    }
}
