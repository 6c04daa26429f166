using System.Buffers.Binary;
using System.Text;

namespace Tributary.Streaming.Sources.Spooling;

/// <summary>The first bytes of a spool file: what it is, of which form, and whose.</summary>
internal static class SpoolHeader
{
    const int FormatVersion = 1;

    static ReadOnlySpan<byte> Magic => "TRIBSPOL"u8;

    /// <summary>The magic, the form's version, the transaction, the slot's name, and a checksum of all these.</summary>
    public static byte[] Bytes(StreamOptions options, uint xid)
    {
        var slot = Encoding.UTF8.GetBytes(options.SlotName);
        var header = new byte[Magic.Length + 12 + slot.Length + 4];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(8), FormatVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), xid);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(16), slot.Length);
        slot.CopyTo(header, 20);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(header.Length - 4), Crc32C.Of(header.AsSpan(0, header.Length - 4)));
        return header;
    }
}
