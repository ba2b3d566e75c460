//! A forward proxy, for requests and for tunnels, which alone knows where names lead.

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Starts one that leads every name to `target`; gives its address, and the head of each request as it comes.
pub(crate) fn leading_to(target: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (tell, told) = channel();
    thread::spawn(move || {
        for visitor in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || serve(visitor, target, &tell));
        }
    });
    (address, told)
}

fn serve(mut visitor: TcpStream, target: SocketAddr, tell: &Sender<String>) -> Option<()> {
    let mut reader = BufReader::new(visitor.try_clone().ok()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).ok().filter(|length| *length > 0)?;
    }
    // The test may have seen enough.
    let _ = tell.send(head.clone());
    let mut server = TcpStream::connect(target).ok()?;
    if head.starts_with("CONNECT ") {
        visitor
            .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            .ok()?;
    } else {
        // A server is asked for the path alone.
        let (method, rest) = head.split_once(" http://")?;
        let path = &rest[rest.find('/')?..];
        server.write_all(format!("{method} {path}").as_bytes()).ok()?;
    }
    let (mut from_server, mut to_visitor) = (server.try_clone().ok()?, visitor.try_clone().ok()?);
    let back = thread::spawn(move || {
        let _ = copy(&mut from_server, &mut to_visitor);
        let _ = to_visitor.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut reader, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    back.join().ok()
}
