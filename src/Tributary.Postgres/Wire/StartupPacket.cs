using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Tributary.Postgres.Wire;

/// <summary>
/// A packet that opens a connection; it has no type byte. A malformed one is a typed error, never an exception.
/// Source: ProcessStartupPacket in src/backend/tcop/backend_startup.c, and
/// https://www.postgresql.org/docs/current/protocol-message-formats.html
/// </summary>
public abstract record StartupPacket
{
    /// <summary>MAX_STARTUP_PACKET_LENGTH in src/include/libpq/pqcomm.h, the length word not counted.</summary>
    public const int BodyBytesMax = 10_000;

    public const int ProtocolMajor = 3;

    /// <summary>The newest minor version spoken here: 3.2 lets a cancel key be longer than four bytes.</summary>
    public const int ProtocolMinor = 2;

    /// <summary>The longest cancel key that protocol 3.2 allows, in bytes.</summary>
    public const int CancelKeyBytesMax = 256;

    const int CancelCode = (1234 << 16) | 5678;
    const int SslCode = (1234 << 16) | 5679;
    const int GssCode = (1234 << 16) | 5680;

    static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Reads what follows the length word.</summary>
    public static bool TryParse(ReadOnlySpan<byte> body, [NotNullWhen(true)] out StartupPacket? packet, [NotNullWhen(false)] out ErrorResponse? error)
    {
        packet = null;
        error = null;
        if (body.Length < sizeof(int) || body.Length > BodyBytesMax)
        {
            error = ErrorResponse.Fatal("08P01", "invalid length of startup packet");
            return false;
        }

        var code = BinaryPrimitives.ReadInt32BigEndian(body);
        var rest = body[sizeof(int)..];
        switch (code)
        {
            case SslCode when rest.IsEmpty:
                packet = new SslRequest();
                break;
            case GssCode when rest.IsEmpty:
                packet = new GssRequest();
                break;
            case CancelCode when rest.Length is >= 2 * sizeof(int) and <= sizeof(int) + CancelKeyBytesMax:
                packet = new CancelRequest(BinaryPrimitives.ReadInt32BigEndian(rest), rest[sizeof(int)..].ToArray());
                break;
            case SslCode or GssCode or CancelCode:
                error = ErrorResponse.Fatal("08P01", "invalid length of startup packet");
                break;
            case var version when version >> 16 == ProtocolMajor:
                packet = ParseStartup(version & 0xFFFF, rest, out error);
                break;
            default:
                error = ErrorResponse.Fatal(
                    "0A000", $"unsupported frontend protocol {(code >> 16) & 0xFFFF}.{code & 0xFFFF}: server supports 3.0 to 3.{ProtocolMinor}");
                break;
        }

        return packet is not null;
    }

    /// <summary>The bytes of a protocol 3.0 StartupMessage, length word included.</summary>
    public static ReadOnlyMemory<byte> BuildStartup(IEnumerable<KeyValuePair<string, string>> parameters)
    {
        var writer = new FrameWriter().BeginUntyped().AddInt32(ProtocolMajor << 16);
        foreach (var (name, value) in parameters)
            writer.AddText(name).AddText(value);
        return writer.AddByte(0).End().Written;
    }

    /// <summary>The bytes of an SSLRequest, length word included.</summary>
    public static ReadOnlyMemory<byte> BuildSslRequest() => new FrameWriter().BeginUntyped().AddInt32(SslCode).End().Written;

    /// <summary>The bytes of a CancelRequest, length word included.</summary>
    public static ReadOnlyMemory<byte> BuildCancel(int processId, ReadOnlySpan<byte> key) =>
        new FrameWriter().BeginUntyped().AddInt32(CancelCode).AddInt32(processId).AddBytes(key).End().Written;

    static StartupMessage? ParseStartup(int minor, ReadOnlySpan<byte> rest, out ErrorResponse? error)
    {
        var parameters = new List<KeyValuePair<string, string>>();
        while (true)
        {
            if (!TryTakeText(ref rest, out var name, out error))
                return null;
            if (name.Length == 0)
                break;
            if (!TryTakeText(ref rest, out var value, out error))
                return null;
            parameters.Add(new(name, value));
        }

        if (rest.IsEmpty)
            return new StartupMessage(minor, parameters);
        error = ErrorResponse.Fatal("08P01", "invalid startup packet layout: expected terminator as last byte");
        return null;
    }

    static bool TryTakeText(ref ReadOnlySpan<byte> rest, out string text, [NotNullWhen(false)] out ErrorResponse? error)
    {
        text = "";
        error = null;
        var end = rest.IndexOf((byte)0);
        if (end < 0)
        {
            error = ErrorResponse.Fatal("08P01", "invalid startup packet layout: expected terminator as last byte");
            return false;
        }

        try
        {
            text = StrictUtf8.GetString(rest[..end]);
        }
        catch (DecoderFallbackException)
        {
            error = ErrorResponse.Fatal("22021", "a startup parameter is not valid UTF-8");
            return false;
        }

        rest = rest[(end + 1)..];
        return true;
    }
}

/// <summary>The client asks for TLS; one byte answers: S or N.</summary>
public sealed record SslRequest : StartupPacket;

/// <summary>The client asks for GSSAPI encryption; one byte answers: G or N.</summary>
public sealed record GssRequest : StartupPacket;

/// <summary>The client asks, on a connection of its own, to cancel what another connection runs. Nothing answers it.</summary>
public sealed record CancelRequest(int ProcessId, ReadOnlyMemory<byte> Key) : StartupPacket;

/// <summary>The client opens a session of protocol 3.<paramref name="Minor"/>.</summary>
public sealed record StartupMessage(int Minor, IReadOnlyList<KeyValuePair<string, string>> Parameters) : StartupPacket
{
    /// <summary>The last value given for a parameter, as Postgres takes it; null when it is not given.</summary>
    public string? Find(string name)
    {
        string? found = null;
        foreach (var (candidate, value) in Parameters)
            if (candidate == name)
                found = value;
        return found;
    }
}
